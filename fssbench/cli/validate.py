"""`fssbench validate`: whether a method does what an evaluation relies on."""

from __future__ import annotations

from typing import Annotated

import typer

from fssbench.cli.console import say


def validate(
    method: Annotated[
        str, typer.Argument(help="A method of your own, ./my.py:MyNet, or one of `fssbench list methods`.")
    ],
    backbone: Annotated[
        str | None, typer.Option("--backbone", help="Its backbone.", show_default="small, where it takes it")
    ] = None,
) -> None:
    """Try what every registered method does: shapes, determinism, batches, masks, precision, weights; a line each.

    Exit code 1 if something does not hold.
    """
    from fssbench.methods.own.validate import checked, subjects

    found = subjects(method, backbone)
    failed = 0
    for subject in found:
        for finding in checked(subject):
            say(finding.line)
            failed += not finding.passed
    if failed:
        raise typer.Exit(1)
