"""Which golden cases are run, and which of them by `make test`: the first of each method."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from fssbench.methods.catalogue import method_info

LONG = {
    "bam-resnet50-5shot": "bam-resnet50-5shot-small",
    "fptrans-deit-s16-1shot": "fptrans-deit-t16-1shot",
    "fptrans-deit-s16-5shot-coco": "fptrans-deit-t16-5shot",
    "fptrans-vit-b16-384-1shot": "fptrans-deit-t16-1shot",
    "fptrans-vit-b16-384-5shot": "fptrans-deit-t16-5shot",
    "mianet-resnet50-1shot": "mianet-resnet50-5shot-small",
    "mianet-resnet50-5shot": "mianet-resnet50-5shot-small",
    "ntrenet-resnet50-5shot": "ntrenet-resnet50-5shot-small",
    "panet-vgg16-5shot": "panet-vgg16-5shot-2way",
    "pfenet-resnet50-5shot": "pfenet-resnet50-5shot-small",
    "repri-resnet50-1shot": "repri-resnet50-5shot",
    "vat-resnet50-1shot-coco": "vat-resnet50-1shot",
}
"""Cases that only `make test-long` runs, and the smaller case of the release that holds the same steps.

What is done at the full size is held by the case of one shot; RePRI does the same at every size and with every K. The
networks of FPTrans differ in their width, and in the token of distillation.
"""


def forms_of_cases(paths: Sequence[Path]) -> list[ParameterSet]:
    """Return the cases with the form that predicts: the fast one, which evaluations use, where there is one.

    The plain form is long there: the two are compared on narrow networks (tests/fast), and the release's training
    steps hold the plain one (test_training_step.py). Encoding takes most of a case's time, whatever the form.
    """
    cases = []
    for case in first_of_each_method(paths):
        (path,) = case.values
        build = json.loads(Path(str(path)).read_text())["build"]
        forms: dict[str, list[pytest.MarkDecorator]] = {"plain": []}
        if method_info(build["method"]).fast:
            forms = {"fast": [], "plain": [pytest.mark.long]}
        cases += [
            pytest.param(form, path, id=f"{form}-{case.id}", marks=[*case.marks, *marks])
            for form, marks in forms.items()
        ]
    return cases


def cases_of_backbones(paths: Sequence[Path]) -> set[tuple[str, str]]:
    """Return the pairs of method and backbone that have a golden case."""
    builds = [json.loads(path.read_text())["build"] for path in paths]
    return {(build["method"], build["backbone"]) for build in builds}


def first_of_each_method(paths: Sequence[Path]) -> list[ParameterSet]:
    """Return a parameter per stored case, in the order given; those after a method's first are marked slow."""
    seen: set[str] = set()
    cases = []
    for path in paths:
        method = json.loads(path.read_text())["build"]["method"]
        marks = [pytest.mark.slow] if method in seen else []
        marks += [pytest.mark.long] if path.stem in LONG else []
        cases.append(pytest.param(path, id=path.stem, marks=marks))
        if path.stem not in LONG:
            seen.add(method)
    return cases
