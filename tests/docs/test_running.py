"""The commands of each page are run from the first to the last in one folder, on small stand-ins."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fssbench.training import validation
from tests.checkpoints.conftest import hosts
from tests.cli.conftest import evaluated_here, fssbench
from tests.docs.pages import generated, lines_of, pages
from tests.docs.staged import ELSEWHERE, STAGES
from tests.docs.stages import Stage, typed
from tests.downloads.host import Host

__all__ = ["fssbench", "hosts"]

KINDS = ("methods/", "datasets/", "protocols/")
GENERATED = {
    "datasets/": Stage(ends={"data check": (2, "was not found")}),
    # Protocols of target sets draw from their photos, and nothing stands in for them.
    "protocols/": Stage(
        ends={
            "--protocol repri-resnet101": (2, "is not defined for shapes20i"),
            "--protocol suim": (2, "is not defined for shapes20i"),
            "--protocol patnet": (2, "was not found"),
            "--protocol targets-fscs": (2, "is not defined for shapes20i"),
        }
    ),
}

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("elsewhere", "small")]


@pytest.fixture
def small(hosts: Host, fssbench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short demonstrations, validations and products, no more processes; an empty local host is the network."""
    del hosts
    for module in ("bench", "backbones"):
        monkeypatch.setattr(f"fssbench.engine.profiling.{module}.evaluated", evaluated_here(fssbench, []))
    drawn = validation.validation_episodes
    monkeypatch.setattr(
        validation,
        "validation_episodes",
        lambda dataset, fold, recipe, *rest: drawn(dataset, fold, replace(recipe, episodes=2), *rest),
    )
    monkeypatch.setattr("fssbench.cli.demo.EPISODES", 2)
    monkeypatch.setattr("fssbench.engine.profiling.profile._SIDE", 256)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("FSSBENCH_DATA", raising=False)


def run(lines: list[str], stage: Stage, fssbench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run lines one after the other; each has to end as it should."""
    for prepare in stage.before:
        prepare(fssbench)
    waiting = dict(stage.between)
    for line in lines:
        for text in [text for text in waiting if text in line]:
            waiting.pop(text)(fssbench)
        for command in typed(line, stage):
            program, *words = shlex.split(command, comments=True)
            if program == "export":
                name, _, value = words[0].partition("=")
                monkeypatch.setenv(name, value)
            elif program == "fssbench":
                ended, printed = next((end for text, end in stage.ends.items() if text in line), (0, ""))
                code, out, err = fssbench(*words)
                assert code == ended, (line, command, out, err)
                assert printed in f"{out}{err}", (line, command, out, err)
            else:
                assert program in ("pip", "python", "cd", "make", "mkdir", "git", "source"), line
    assert not waiting


def with_commands() -> list[str]:
    """Return the pages that have commands to run, but those of a kind, and those that have a test of their own."""
    found = [name for name, text in pages().items() if any(line.startswith("fssbench") for line in lines_of(text))]
    return [name for name in found if name not in ELSEWHERE and (name in STAGES or not name.startswith(KINDS))]


@pytest.mark.parametrize("page", with_commands())
def test_the_commands_of_a_page_work_one_after_the_other(
    page: str, fssbench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page without a stage of its own needs nothing but fssbench."""
    run(lines_of(pages()[page]), STAGES.get(page, Stage()), fssbench, monkeypatch)


@pytest.mark.parametrize("folder", KINDS)
def test_the_commands_of_generated_pages_work(folder: str, fssbench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for name in generated() if name.startswith(folder) and name not in STAGES]
    lines = [line for name in names for line in lines_of(generated()[name])]
    assert len(lines) > 15
    monkeypatch.setenv("FSSBENCH_DATA", "data")
    run(lines, GENERATED.get(folder, Stage()), fssbench, monkeypatch)
