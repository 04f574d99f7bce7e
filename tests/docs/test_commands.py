"""Every `fssbench` line of the documents: its options exist, its names are registered. `test_running.py` runs them."""

from __future__ import annotations

import contextlib
import fnmatch
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from fssbench.checkpoints.registry import records
from fssbench.cli import app
from fssbench.datasets.catalogue import list_datasets
from fssbench.errors import FSSBenchError
from fssbench.methods.build_arguments import check_build
from fssbench.methods.catalogue import list_methods
from fssbench.protocols.rules import protocol
from fssbench.publications.load import publications
from tests.cli.conftest import fssbench
from tests.docs.pages import REPOSITORY, blocks, commands, in_text, pages

__all__ = ["fssbench"]

OWN = {"mynet"}
"""Methods and folders that a page tells its reader to write first."""


def parsed(line: str) -> tuple[str, dict[str, Any]]:
    """Return the path of a command and its parameters; unknown commands, options and missing arguments are refused."""
    words = shlex.split(line, comments=True)[1:]
    if words[:1] == ["launch"] and "eval" in words:  # what stands behind it is a command of its own
        assert parsed(f"fssbench {shlex.join(words[words.index('eval') :])}")
    click: Any = typer.main.get_command(app)
    context = click.make_context("fssbench", words)
    while hasattr(context.command, "resolve_command"):
        name, found, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
        context = found.make_context(name, list(rest), parent=context)
    return context.command_path, context.params


@pytest.mark.parametrize("page", sorted({name for name, _ in commands()}))
def test_a_command_in_the_documents_can_be_typed(page: str) -> None:
    for line in dict.fromkeys(line for name, line in commands() if name == page):
        try:
            check(line)
        except (AssertionError, typer.TyperException, FSSBenchError) as error:
            pytest.fail(f"{line}: {error}")


def test_a_command_in_running_text_exists() -> None:
    """Its options, too; a required one may be left to the reader."""
    seen = set()
    for page, line in in_text():
        if line in seen or line.startswith("fssbench launch "):
            continue
        seen.add(line)
        try:
            parsed(line)
        except typer.Exit:
            continue
        except (typer.TyperException, FSSBenchError) as error:
            if type(error).__name__ not in ("MissingParameter", "NoArgsIsHelpError", "BadOptionUsage"):
                pytest.fail(f"{page}: {line}: {error}")
    assert len(seen) > 50


def check(line: str) -> None:
    """Refuse a line that can't be typed, or names what is not registered."""
    for variable, value in {"$fold": "0", "$method": "hsnet", "$ways": "2"}.items():  # of a loop in a shell
        line = line.replace(variable, value)
    if line == "fssbench --version" or line.endswith("--help"):
        with contextlib.suppress(typer.Exit):  # both are done while they are parsed
            parsed(line)
        return
    path, given = parsed(line)
    if "new method" in path:
        return
    for method in names(given.get("method")):
        if not is_code(method) and "published" not in path and path != "fssbench table":
            found = fnmatch.filter(list_methods(), method)
            assert found, method
            backbone = given.get("backbone")
            if isinstance(backbone, str) and "," not in backbone and found == [method]:
                ways, shots = given.get("ways") or 1, 1
                check_build(
                    method, backbone, given.get("variant") or None, int(ways) if given.get("variant") else 1, shots
                )
    for dataset in names(given.get("dataset")) + names(given.get("train_dataset")):
        known = all(fnmatch.filter(list_datasets(), part) for part in dataset.split("_to_"))
        assert known or dataset == "coral reef", dataset
    for name in names(given.get("protocol")):
        if not name.startswith("./"):
            assert protocol(name)
    for pattern in names(given.get("id")) + (names(given.get("ids")) if "checkpoints" in path else []):
        assert fnmatch.filter([record.id for record in records()], pattern) or pattern == "ID", pattern


def names(value: object) -> list[str]:
    """Return the names in the value of an option, which may be one, several with commas, or a list."""
    if value is None:
        return []
    texts = value if isinstance(value, list | tuple) else [value]
    return [name for text in texts for name in str(text).split(",") if name]


def is_code(name: str) -> bool:
    """Return whether a method is named by its code, or is one that the page tells its reader to register."""
    return ":" in name or name in OWN


def test_methods_of_tables_are_known() -> None:
    known = {*list_methods(), *publications().methods}
    for _, line in commands():
        compared = re.search(r"--compare (\S+)", line)
        for name in compared[1].split(",") if compared else ():
            assert "/" in name or fnmatch.filter(known, name.strip("'")), line


def test_extras_and_targets_of_make_in_the_documents_exist() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    targets = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    written = "\n".join(pages().values())
    extras = {name for names in re.findall(r"fssbench\[([\w,]+)\]", written) for name in names.split(",")}
    assert len(extras) > 4
    assert extras <= set(project["optional-dependencies"])
    makes = {
        word for line in re.findall(r"(?:^|`)make ([a-z][a-z -]*)", written, re.MULTILINE) for word in line.split()
    }
    assert {"demo-full", "docs", "test-all"} <= makes & set(targets)
    assert not makes - set(targets), makes - set(targets)


@pytest.mark.parametrize("block", blocks(pages()["troubleshooting.md"], "console"))
@pytest.mark.usefixtures("elsewhere")
def test_a_message_is_what_the_program_prints(block: str, fssbench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FSSBENCH_DATA", raising=False)
    line, shown = block.removeprefix("$ fssbench ").split("\n", 1)
    code, out, err = fssbench(*shlex.split(line))
    pattern = re.escape(shown.rstrip()).replace(r"\.\.\.", ".*")
    assert code == 2
    assert re.fullmatch(pattern, f"{out}{err}".rstrip()), f"{out}{err}"


def test_the_messages_in_the_tables_are_those_of_the_program() -> None:
    source = "".join(
        re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8")) for path in Path(typer_app_folder()).rglob("*.py")
    )
    quoted = re.findall(r"^\| `([^`]+)`", pages()["troubleshooting.md"], re.MULTILINE)
    assert len(quoted) > 10
    for text in quoted:
        parts = [
            part
            for part in re.split(r"\.\.\.|pfenet|hsnet|fold \d|method\.name| canonical|dataset\.toml", text)
            if len(part) > 3
        ]
        assert all(part.strip() in source for part in parts), text


def typer_app_folder() -> str:
    """Return the folder of the program's code."""
    import fssbench as package

    return str(Path(package.__file__).parent)
