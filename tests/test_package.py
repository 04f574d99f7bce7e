"""What surrounds the code: versions that agree, pinned dependencies, make targets, documents whose commands exist."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import typer

import fssbench
from fssbench.cli import app

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def read(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def canonical(requirement: str) -> str:
    """Return the distribution a requirement names, in lower case."""
    return re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def pins() -> dict[str, str]:
    lines = [line for line in read("constraints.txt").splitlines() if line and not line.startswith("#")]
    return {canonical(name): version for name, _, version in (line.partition("==") for line in lines)}


def test_the_version_is_one():
    assert PROJECT["version"] == fssbench.__version__
    assert f"## [{fssbench.__version__}]" in read("CHANGELOG.md")
    assert re.search(rf"^version: {re.escape(fssbench.__version__)}$", read("CITATION.cff"), re.MULTILINE)


def test_the_licence_is_the_one_declared():
    assert read("LICENSE").startswith(f"{PROJECT['license']} License")
    assert re.search(rf"^license: {PROJECT['license']}$", read("CITATION.cff"), re.MULTILINE)


def test_every_dependency_is_pinned_and_torch_first():
    pinned = pins()
    assert next(iter(pinned.items())) == ("torch", "2.13.0")
    assert all(re.fullmatch(r"[\d.]+", version) for version in pinned.values())
    needed = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    assert {canonical(requirement) for requirement in needed} - set(pinned) == set()


def imports_of(folder: str) -> set[str]:
    return {
        name.partition(".")[0]
        for path in (REPOSITORY / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }


def test_what_is_imported_is_what_is_declared():
    providers = packages_distributions()
    # pytest alone loads the plugin, so that it need not come with fssbench.
    foreign = imports_of("fssbench") - set(sys.stdlib_module_names) - {"fssbench", "pytest", ""}
    imported = {providers[name][0].lower().replace("_", "-") for name in foreign}
    # Imported where it is used, and missed with a sentence.
    optional = {canonical(requirement) for requirement in PROJECT["optional-dependencies"]["slurm"]}
    assert imported - optional == {canonical(requirement) for requirement in PROJECT["dependencies"]}


@pytest.mark.parametrize("target", ["demo", "test", "lint", "check", "wheel", "clean"])
def test_make_target(target: str, tmp_path: Path):
    plan = subprocess.run(
        ["make", "--dry-run", f"VENV={tmp_path / 'venv'}", f"PYTHON={sys.executable}", target],
        check=True, capture_output=True, text=True, cwd=REPOSITORY,
    ).stdout  # fmt: skip
    installs = plan.find("--constraint constraints.txt --no-build-isolation --editable '.[dev]'")
    work = {"demo": "fssbench table", "test": "-m pytest", "lint": "mypy", "wheel": "-m build", "clean": "rm -rf"}
    works = plan.find((work | {"check": "fssbench check --against baseline"})[target])
    assert works > installs
    assert (installs >= 0) == (target != "clean")


def test_an_old_python_is_told_in_a_sentence(tmp_path: Path):
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo 'Python 3.9.2' && exit\nexit 1\n")
    old.chmod(0o755)
    answer = subprocess.run(
        ["make", f"VENV={tmp_path / 'venv'}", f"PYTHON={old}", "lint"],
        check=False, capture_output=True, text=True, cwd=REPOSITORY,
    )  # fmt: skip
    assert answer.returncode == 2
    assert f"fssbench needs Python 3.11 or newer, and {old} is Python 3.9.2" in answer.stderr
    assert not (tmp_path / "venv").exists()


def test_ci_runs_style_types_tests_and_baselines():
    assert os.access(REPOSITORY / ".ci" / "run", os.X_OK)
    assert re.search(r"^set -euo pipefail$.*^make lint test-all check$", read(".ci/run"), re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"run: make (\w+)", read(".github/workflows/ci.yml"))) == {"lint", "test", "check"}


def code_blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", read(name), re.MULTILINE | re.DOTALL)


def commands() -> Iterator[tuple[str, str]]:
    for name in ("README.md", "CONTRIBUTING.md", "docs/continuous-integration.md", "docs/own-data.md"):
        for block in code_blocks(name, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("fssbench "):
                    yield name, line


@pytest.mark.parametrize("command", sorted({command for _, command in commands()}))
def test_a_command_in_the_documents_can_be_typed(command: str):
    # Parsing alone: unknown commands, options and missing arguments are refused, nothing is run.
    words = shlex.split(command, comments=True)[1:]
    click: Any = typer.main.get_command(app)
    with contextlib.suppress(typer.Exit):  # --version answers while it is parsed
        context = click.make_context("fssbench", words)
        while hasattr(context.command, "resolve_command"):
            name, found, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
            context = found.make_context(name, list(rest), parent=context)
        assert context.command_path.startswith("fssbench ")


def test_the_python_in_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    blocks = code_blocks("README.md", "python")
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102 - the project's own text
