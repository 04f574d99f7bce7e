"""`fssbench validate`: whether a method does what an evaluation relies on."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Annotated

import typer

from fssbench.cli.console import say, say_json
from fssbench.cli.options import AsJson


def validate(
    method: Annotated[
        str, typer.Argument(help="A method of your own, ./my.py:MyNet, or one of `fssbench list methods`.")
    ],
    backbone: Annotated[
        str | None,
        typer.Option("--backbone", metavar="NAME", help="Its backbone.", show_default="small, where it takes it"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Try what every registered method does: shapes, determinism, batches, masks, precision, weights; a line each.

    Examples:
        fssbench validate ./mynet.py:Mynet
        fssbench validate hsnet --backbone resnet50

    Exit code 1 if something does not hold.
    """
    from fssbench.methods.own.validate import checked, subjects

    found = subjects(method, backbone)
    if as_json:
        findings = [finding for subject in found for finding in checked(subject)]
        say_json([asdict(finding) | {"passed": finding.passed} for finding in findings])
        if not all(finding.passed for finding in findings):
            raise typer.Exit(1)
        return
    failed = 0
    for subject in found:
        told: set[str] = set()
        for finding in checked(subject):
            # What breaks each step is told once; numbers differ from check to check.
            kind = re.sub(r"\d+", "", finding.wrong)
            say(finding.line if finding.passed or kind not in told else replace(finding, wrong="as above").line)
            told.add(kind)
            failed += not finding.passed
    if failed:
        raise typer.Exit(1)
