"""The `fssbench` command: one file per command group, no arithmetic here, torch imported only when a command needs it."""

from __future__ import annotations

import os
import sys

import typer

from fssbench.errors import FSSBenchError

app = typer.Typer(
    name="fssbench",
    help="Measure few-shot segmentation methods on exactly the same episodes, and hold the result against the papers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _mount() -> None:
    # Each file adds its own commands to `app`; all of them are light, heavy imports are inside the functions.
    from fssbench.cli import checkpoints, data, episodes, evaluate, listing, table, train

    app.add_typer(data.app, name="data")
    app.add_typer(episodes.app, name="episodes")
    app.add_typer(checkpoints.app, name="checkpoints")
    app.command("eval")(evaluate.evaluate)
    app.command("train")(train.train)
    app.command("table")(table.table)
    app.command("list")(listing.listing)


def main() -> None:
    """Run the command line; a user's mistake ends in one or two lines and the error's exit code."""
    _mount()
    try:
        app()
    except FSSBenchError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; finished episodes are kept\n")
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe (`| head`) left: nothing to say, and nothing more to write.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
