"""The `fssbench` command: one file per command group, no arithmetic here, torch imported where a command needs it."""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from fssbench.cli.help import Command, Group
from fssbench.cli.signals import StoppedError, stop_on_signals
from fssbench.cli.streams import keep_going, written
from fssbench.errors import FSSBenchError, nearest, unknown_name
from fssbench.version import __version__

if TYPE_CHECKING:
    from typer._click import Command as AnyCommand  # what Typer's own signatures name
    from typer._click import Context

_COMMANDS = {
    "demo": "demo:demo",
    "list": "listing:listing",
    "doctor": "doctor:doctor",
    "eval": "evaluate:evaluate",
    "table": "table:table",
    "compare": "compare:compare",
    "plan": "plan:plan",
    "explain": "explain:explain",
    "references": "studies:references",
    "absent": "studies:absent",
    "report": "report_page:report_page",
    "show": "show:show",
    "plot": "plot:plot",
    "site": "site:site",
    "check": "check:check",
    "published": "published:app",
    "data": "data:app",
    "checkpoints": "checkpoints:app",
    "episodes": "episodes:app",
    "segment": "segment:segment",
    "new": "new:app",
    "validate": "validate:validate",
    "train": "train:train",
    "score": "score:score",
    "launch": "launch:launch",
    "merge": "merge:merge",
    "bench": "bench:bench",
    "bench-backbones": "bench_backbones:bench_backbones",
}
"""Each command and the function or group of `fssbench.cli` behind it, in the order of `fssbench --help`."""

_GROUPS = {
    "To begin with": ("demo", "list", "doctor"),
    "Evaluate and compare": (
        *("eval", "table", "compare", "explain", "plan"),
        *("references", "absent", "check", "published", "site"),
    ),
    "Look at what failed": ("report", "show", "plot"),
    "Data, weights and episodes": ("data", "checkpoints", "episodes"),
    "Your own photos": ("segment",),
    "Your own method": ("new", "validate", "train", "score"),
    "Large runs and speed": ("launch", "merge", "bench", "bench-backbones"),
}
"""The commands under the headings of `fssbench --help`, in the order in which a newcomer needs them."""


class _Commands(Group):
    """The commands, each imported when it is called: `fssbench table` does not wait for `fssbench train`."""

    def list_commands(self, ctx: Context) -> list[str]:
        return list(_COMMANDS)

    def command_groups(self, ctx: Context) -> dict[str, list[str]]:
        """Return the commands under their headings; one without a heading comes last."""
        names = self.list_commands(ctx)
        found = {heading: [one for one in group if one in names] for heading, group in _GROUPS.items()}
        rest = [one for one in names if not any(one in group for group in found.values())]
        return found | ({"Others": rest} if rest else {})

    def get_command(self, ctx: Context, cmd_name: str) -> AnyCommand:
        if cmd_name not in _COMMANDS:
            raise unknown_name("command", cmd_name, _COMMANDS, "fssbench --help")
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        target = getattr(importlib.import_module(f"fssbench.cli.{module}"), attribute)
        from fssbench.cli.names import with_names

        with_names(target, cmd_name)
        holder = typer.Typer()
        if isinstance(target, typer.Typer):
            holder.add_typer(target, name=cmd_name)
        else:
            holder.command(cmd_name, cls=Command)(target)
        return typer.main.get_group(holder).commands[cmd_name]


app = typer.Typer(
    name="fssbench",
    cls=_Commands,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fssbench {__version__}")
        raise typer.Exit


@app.callback()
def fssbench(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Measure few-shot segmentation methods on exactly the same episodes, and hold the result against the papers.

    Examples:
        fssbench demo
        fssbench eval --method hsnet,asnet --dataset shapes20i --fold 0 --out runs/first

    `fssbench COMMAND --help` has the options of a command, with examples.
    """


def main() -> None:
    """Run the command line; a user's mistake ends in one or two lines and the error's exit code."""
    keep_going()
    _complete()
    with stop_on_signals():
        code = _run(sys.argv[1:])
    if error := written(sys.stdout):
        _complain(f"standard output is not complete: {error.strerror}")
        code = code or 2
    sys.exit(code)


def _complete() -> None:
    """Reply to a shell that completes a command line, and leave; see `fssbench --install-completion`."""
    instruction = os.environ.get("_FSSBENCH_COMPLETE")
    if not instruction:
        return
    from typer.completion import shell_complete

    command = typer.main.get_command(app)  # which also makes the shells known
    try:
        code = shell_complete(command, {}, "fssbench", "_FSSBENCH_COMPLETE", instruction)
    except FSSBenchError:
        code = 1  # a command line that is wrong so far; what is wrong is said when it is entered
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    # Not `app(...)`, which frames usage errors.
    try:
        with typer.main.get_command(app).make_context("fssbench", arguments) as context:
            context.command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except typer.TyperException as error:
        facts = vars(error)
        if possible := facts.get("possibilities"):  # options that are like it, and not very
            facts["possibilities"] = nearest(facts["option_name"], possible)
        message = error.format_message().replace("Value error, ", "")
        command = getattr(getattr(error, "ctx", None), "command_path", "fssbench")
        _complain(f"{message[0].lower()}{_with_nearest(message[1:].rstrip('.'))}\n  try: {command} --help")
        return 2
    except FSSBenchError as error:
        _complain(str(error))
        return error.exit_code
    except StoppedError as stop:
        sys.stderr.write(f"stopped by {stop.name}\n")
        return stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("interrupted\n")
        return 130
    except OSError as error:
        # A full disk, a folder that may not be written: the system's own words say what is wrong.
        _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return 2
    return 0


def _with_nearest(message: str) -> str:
    """Return a message of typer on one line, with the value that was probably meant."""
    line = re.sub(r",?\s*\n\s*", ", ", message).replace(":, ", ": ")
    found = re.search(r"'([^']*)' is not one of (.*)$", line)
    values = re.findall(r"'([^']*)'", found[2]) if found else []
    near = nearest(found[1], values) if found and len(values) > 2 else []
    return f"{line}; did you mean {near[0]}?" if near else line


def _complain(message: str) -> None:
    # Names out of foreign files must not move the cursor or colour the terminal.
    clean = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in message)
    sys.stderr.write(f"error: {clean}\n")
