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
    "ntrenet-resnet50-5shot": "ntrenet-resnet50-5shot-small",
    "panet-vgg16-5shot": "panet-vgg16-5shot-2way",
    "pfenet-resnet50-5shot": "pfenet-resnet50-5shot-small",
    "repri-resnet50-1shot": "repri-resnet50-5shot",
}
"""Cases that only `make test-golden` runs, and the smaller case of the release that holds the same steps.

What is done at the full size is held by the case of one shot; RePRI does the same at every size and with every K.
"""


def forms_of_cases(paths: Sequence[Path]) -> list[ParameterSet]:
    """Return the cases with the form that predicts: the plain form each, the fast form the first of its kind.

    Encoding takes nearly all of a case's time, whatever K. What a fast form does with other K is compared with the
    plain form, on narrow networks (tests/fast).
    """
    seen: set[tuple[object, ...]] = set()
    cases = []
    for case in first_of_each_method(paths):
        (path,) = case.values
        build = json.loads(Path(str(path)).read_text())["build"]
        kind = tuple(build.get(key) for key in ("method", "variant", "backbone", "way"))
        forms = ["plain", "fast"] if kind not in seen and method_info(build["method"]).fast else ["plain"]
        cases += [pytest.param(form, path, id=f"{form}-{case.id}", marks=case.marks) for form in forms]
        if str(case.id) not in LONG:
            seen.add(kind)
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
