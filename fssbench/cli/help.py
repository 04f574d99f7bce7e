"""What `--help` prints: usage, examples, then the options in groups, as wide as the terminal."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

if TYPE_CHECKING:
    from typer._click import Command as AnyCommand  # what Typer's own signatures name
    from typer._click import Context, HelpFormatter, Parameter

WHAT = "What to evaluate"
DATA = "Data"
EPISODES = "Episodes"
WEIGHTS = "Weights"
COMPUTING = "Computing"
OUTPUT = "Output"
"""Groups of options, the `rich_help_panel` of each."""

ORDER = (WHAT, DATA, EPISODES, WEIGHTS, COMPUTING, OUTPUT)
"""The order of these groups in every help; a command's own groups come first."""

FEW = 8
"""A command with no more options than this shows them in one list."""

WIDEST = 110
"""Columns after which text is folded, also on a wider terminal."""

NARROW = 72
"""Columns from which on the text of an option stands next to its name, not below."""

_LEFT = 27
"""Columns of names that are aligned; the text of a longer one begins on the next line."""

_SHORT = 16
"""Columns of names next to which there is room for a text also on a narrow terminal."""

_OTHER = "Other"
_PLACEHOLDERS = {"str": "TEXT", "int": "N", "float": "X", "Path": "PATH"}
_NAMED = ("--method", "--dataset", "--backbone", "--variant", "--protocol")
"""Options that take names."""


class Command(TyperCommand):
    """A command whose help is that of this module."""

    def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the help."""
        formatter.write(_help(self, ctx))


class Group(TyperGroup):
    """A group of commands whose help is that of this module, and what is shown where no command is named."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse arguments; without any, write the help to standard error and leave with exit code 2."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the help."""
        formatter.write(_help(self, ctx))

    def command_groups(self, ctx: Context) -> dict[str, list[str]]:
        """Return the names of the commands under the heading of each group."""
        return {"Commands": self.list_commands(ctx)}


def columns() -> int:
    """Return how many columns help is written in."""
    return min(shutil.get_terminal_size((80, 24)).columns, WIDEST)


def styled() -> bool:
    """Return whether headings may be bold: on a terminal, unless it can't, or its owner does not want it."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


def examples_of(text: str) -> list[str]:
    """Return the command lines below "Examples:" in a docstring, without their comments.

    Args:
        text: As `inspect.cleandoc` returns it.
    """
    found = re.search(r"^Examples:\n((?:    .*\n?)+)", text, re.MULTILINE)
    return [] if found is None else [re.sub(r"\s+#.*", "", line).strip() for line in found[1].splitlines()]


def panels_of(command: AnyCommand, ctx: Context) -> dict[str, list[Parameter]]:
    """Return the options and arguments of a command by the heading under which its help shows them."""
    shown = [one for one in command.get_params(ctx) if not getattr(one, "hidden", False)]
    arguments: list[Parameter] = [one for one in shown if isinstance(one, TyperArgument)]
    options = [one for one in shown if not isinstance(one, TyperArgument)]
    found = {"Arguments": arguments} if arguments else {}
    named = {getattr(one, "rich_help_panel", None) for one in options} - {None}
    if len(options) <= FEW + 1 or not named:  # --help is one of them
        return found | {"Options": options}
    panels: dict[str, list[Parameter]] = {}
    for one in options:
        panels.setdefault(getattr(one, "rich_help_panel", None) or _OTHER, []).append(one)
    places = {panel: place for place, panel in enumerate((*ORDER, _OTHER))}
    return found | dict(sorted(panels.items(), key=lambda panel: places.get(panel[0], -1)))


def _help(command: Command | Group, ctx: Context) -> str:
    width = columns()
    parts = [_folded(_usage(command, ctx), width, "       "), *_described(command.help or "", width)]
    if isinstance(command, Group):
        widest = max(map(len, command.list_commands(ctx)))
        for heading, names in command.command_groups(ctx).items():
            commands = [(name, one) for name in names if (one := command.get_command(ctx, name)) and not one.hidden]
            rows = [(name, _first_sentence(one.help or "")) for name, one in commands]
            parts.append(_heading(heading) + "\n" + _aligned(rows, width, widest))
    panels = {
        heading: [(name_of(one, ctx), text_of(one)) for one in parameters]
        for heading, parameters in panels_of(command, ctx).items()
    }
    widest = max(len(name) for rows in panels.values() for name, _ in rows)
    parts += [_heading(heading) + "\n" + _aligned(rows, width, widest) for heading, rows in panels.items()]
    return "\n\n".join(parts) + "\n"


def _usage(command: Command | Group, ctx: Context) -> str:
    """Return the line of a command with its arguments, those in brackets that may be left out."""
    words = [ctx.command_path, "[OPTIONS]"]
    for one in command.get_params(ctx):
        if isinstance(one, TyperArgument):
            name = name_of(one, ctx)
            words.append(name if one.required or name.startswith("[") else f"[{name}]")
    return f"Usage: {' '.join([*words, *(['COMMAND ...'] if isinstance(command, Group) else [])])}"


def _heading(text: str) -> str:
    return f"\x1b[1m{text}:\x1b[0m" if styled() else f"{text}:"


def _described(text: str, width: int) -> Iterator[str]:
    """Yield the paragraphs of a docstring; examples stay on their lines, to be copied."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        first, *rest = paragraph.splitlines()
        if first == "Examples:":
            yield "\n".join([_heading("Examples"), *(_command_line(line.strip(), width) for line in rest)])
        else:
            yield _folded(" ".join([first, *rest]), width)


def _command_line(text: str, width: int) -> str:
    """Return a command as a shell takes it, on several lines where one is too short."""
    # An option stays on the line of its value.
    joined = re.sub(r"(?<= )(--?[a-z][a-z-]*) (?!-)", "\\1\0", text)
    lines = textwrap.wrap(joined, width - 8, break_long_words=False, break_on_hyphens=False)
    return " \\\n      ".join([f"  {lines[0]}", *lines[1:]]).replace("\0", " ")


def _first_sentence(text: str) -> str:
    first = " ".join(inspect.cleandoc(text).split("\n\n")[0].splitlines())
    return first.partition("; ")[0].rstrip(".")


def _aligned(rows: Sequence[tuple[str, str]], width: int, widest: int) -> str:
    """Return rows of a name and a text: next to each other, or the text below on a narrow terminal.

    Args:
        rows: Name and text of each.
        width: Columns that there are.
        widest: Columns of the longest name.
    """
    left = 6 if width < NARROW and widest > _SHORT else min(widest, _LEFT) + 4
    lines: list[str] = []
    for name, text in rows:
        folded = textwrap.wrap(text, max(width - left, 20), break_long_words=False, break_on_hyphens=False)
        if len(name) + 4 <= left and folded:
            lines += [f"  {name:<{left - 2}}{folded[0]}", *(" " * left + line for line in folded[1:])]
        else:
            lines += [f"  {name}", *(" " * left + line for line in folded)]
    return "\n".join(lines)


def _folded(text: str, width: int, indent: str = "") -> str:
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def name_of(parameter: Parameter, ctx: Context) -> str:
    """Return the name of an option and what it takes, e.g. "-q, --quiet" or "--shots N,..."."""
    if isinstance(parameter, TyperArgument):
        return parameter.metavar or parameter.display_name_raw.upper() + ("..." if parameter.nargs != 1 else "")
    names = ", ".join(sorted([*parameter.opts, *parameter.secondary_opts], key=len))
    if getattr(parameter, "is_flag", False):
        return names
    kind = (parameter.metavar or str(parameter.display_type_rich(ctx) or "")).strip("<>")  # type: ignore[attr-defined]
    kind = kind.removesuffix(" range").removeprefix("list[").removesuffix("]")
    if kind == "str" and names in _NAMED:
        kind = "NAME"
    return f"{names} {_PLACEHOLDERS.get(kind, kind)}".rstrip()


def text_of(parameter: Parameter) -> str:
    """Return the help of an option, with its range, its default in words, or that it has to be given."""
    facts = []
    low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if low is not None:
        facts.append(f"from {low}" if high is None else f"{low} to {high}")
    shown = getattr(parameter, "show_default", False)
    if parameter.required:
        facts.append("required")
    elif isinstance(shown, str):
        facts.append(f"default: {shown}")
    elif shown and isinstance(parameter, TyperOption) and not parameter.is_flag and parameter.default not in (None, ""):
        facts.append(f"default: {parameter.default}")
    text: str = getattr(parameter, "help", None) or ""
    return f"{text} ({'; '.join(facts)})" if facts else text
