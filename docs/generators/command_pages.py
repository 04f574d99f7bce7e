"""A page for each command, from the application itself."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import typer

from fssbench.cli import app
from fssbench.cli.help import Group, examples_of, name_of, panels_of, text_of

from .markdown import block, code, in_text, page, table

if TYPE_CHECKING:
    from typer._click import Command as AnyCommand
    from typer._click import Context


def command_pages() -> dict[str, str]:
    """Return the pages by their path in the site."""
    root, context = _root()
    pages = {"reference/commands/index.md": _index(root, context)}
    for name in (name for names in root.command_groups(context).values() for name in names):
        command = root.get_command(context, name)
        if command is not None and not command.hidden:
            inner = command.context_class(command, info_name=name, parent=context)
            pages[f"reference/commands/{name}.md"] = page(f"fssbench {name}", *_parts(command, inner, 2))
    return pages


def _root() -> tuple[Group, Context]:
    root = typer.main.get_command(app)
    assert isinstance(root, Group)
    return root, root.context_class(root, info_name="fssbench")


def _index(root: Group, context: Context) -> str:
    parts = []
    for heading, names in root.command_groups(context).items():
        lines = [f"- [`fssbench {name}`]({name}.md): {in_text(_sentence(root, context, name))}" for name in names]
        parts.append(f"## {heading}\n\n" + "\n".join(lines))
    intro = (
        "`fssbench COMMAND --help` prints the same. Options that several commands have are called the same in "
        "all of them. "
        "Exit codes are in [Troubleshooting](../../troubleshooting.md#exit-codes)."
    )
    return page("Commands", intro, *parts)


def _sentence(root: Group, context: Context, name: str) -> str:
    command = root.get_command(context, name)
    assert command is not None
    text = inspect.cleandoc(command.help or "").split("\n\n")[0]
    return " ".join(text.split())


def _parts(command: AnyCommand, context: Context, level: int) -> list[str]:
    """Return usage, description, examples and options of a command, and those of its own commands below."""
    described, examples = _described(command.help or "")
    parts = [described]
    if examples:
        parts.append(f"{'#' * level} Examples\n\n{block(chr(10).join(examples), 'sh')}")
    for heading, parameters in panels_of(command, context).items():
        rows = [(code(name_of(one, context)), in_text(text_of(one))) for one in parameters]
        if len(rows) == 1 and parameters[0].name == "help":
            continue
        parts.append(f"{'#' * level} {heading}\n\n{table(['name', 'what it does'], rows)}")
    if isinstance(command, Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                below = inner.context_class(inner, info_name=name, parent=context)
                parts.append(f"{'#' * level} fssbench {' '.join([*below.command_path.split()[1:]])}")
                parts += _parts(inner, below, level + 1)
    return parts


def _described(text: str) -> tuple[str, list[str]]:
    """Return the description of a command, and the lines of its examples with their comments."""
    cleaned = inspect.cleandoc(text)
    found = re.search(r"^Examples:\n((?:    .*\n?)+)", cleaned, re.MULTILINE)
    lines = [] if found is None or not examples_of(cleaned) else [line.strip() for line in found[1].splitlines()]
    kept = cleaned.replace(found[0], "") if found else cleaned
    return "\n\n".join(in_text(" ".join(one.split())) for one in kept.split("\n\n") if one.strip()), lines
