"""The help of every command: a sentence, examples that can be typed, options in groups, and defaults in words."""

from __future__ import annotations

import contextlib
import inspect
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperArgument

from fssbench.cli import app
from fssbench.cli.help import FEW, Command, Group, examples_of, panels_of


def commands(group: Any, context: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield the path, the command and its context, of all commands of the app."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = command.context_class(command, info_name=name, parent=context)
        yield f"{path} {name}", command, inner
        if isinstance(command, Group):
            yield from commands(command, inner, f"{path} {name}")


ROOT: Any = typer.main.get_command(app)
CONTEXT = ROOT.context_class(ROOT, info_name="fssbench", help_option_names=["-h", "--help"])
ALL = {path: (command, context) for path, command, context in commands(ROOT, CONTEXT, "fssbench")}
LEAVES = {path: pair for path, pair in ALL.items() if isinstance(pair[0], Command)}


@pytest.fixture(params=LEAVES)
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_all_commands_have_this_help() -> None:
    assert len(LEAVES) > 30
    assert all(isinstance(command, Command | Group) and command.help for command, _ in ALL.values())
    headings = ROOT.command_groups(CONTEXT)
    assert "Others" not in headings
    assert sorted(name for names in headings.values() for name in names) == sorted(ROOT.list_commands(CONTEXT))


def test_two_examples_can_be_typed(path: str) -> None:
    examples = examples_of(inspect.cleandoc(LEAVES[path][0].help))
    assert len(examples) >= 2
    for example in examples:
        assert example.startswith(f"{path} ") or example == path
        context = CONTEXT
        # Options are found and values read, and nothing is run.
        words = shlex.split(example, comments=True)[1:]
        with contextlib.suppress(typer.Exit):
            context = ROOT.make_context("fssbench", words)
            while hasattr(context.command, "resolve_command"):
                name, found, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
                context = found.make_context(name, list(rest), parent=context)


def test_every_option_says_what_it_is_and_what_happens_without_it(path: str) -> None:
    command, context = LEAVES[path]
    for one in command.get_params(context):
        assert one.help, one.name
        stated = isinstance(one.show_default, str) or one.default not in (None, "")
        left_out = isinstance(one, TyperArgument) or getattr(one, "is_flag", False) or one.required
        assert stated or left_out or one.show_default is False, f"{one.name} has no default in words"


def test_many_options_stand_in_groups(path: str) -> None:
    command, context = LEAVES[path]
    options = [one for one in command.get_params(context) if not isinstance(one, TyperArgument)]
    if len(options) > FEW + 1:
        groups = [group for heading, group in panels_of(command, context).items() if heading != "Arguments"]
        assert len(groups) > 2
        assert [one.name for one in groups[-1]] == ["help"], "every option has a group"


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_help_fits_the_terminal(columns: int, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    command, context = LEAVES[path]
    text = command.get_help(context)
    assert text.startswith(f"Usage: {path} [OPTIONS]")
    assert all(len(line) <= columns for line in text.splitlines())
    assert "\x1b" not in text
    names = [max(one.opts, key=len) for one in command.get_params(context) if not isinstance(one, TyperArgument)]
    assert all(re.search(rf"^  .*{re.escape(name)}\b", text, re.MULTILINE) for name in names)


@pytest.mark.parametrize(
    ("term", "no_color", "bold"), [("xterm", "", True), ("dumb", "", False), ("xterm", "1", False)]
)
def test_headings_are_bold_on_a_terminal_that_wants_it(
    term: str, no_color: str, bold: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", no_color)
    assert ("\x1b[1m" in LEAVES["fssbench eval"][0].get_help(LEAVES["fssbench eval"][1])) is bold
