"""One way from names to what they mean, whatever for."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from fssbench.errors import UsageError
from fssbench.planning.resolve import Names, Purpose, resolve

EVAL = Names("evaluate", "pascal5i", "pascal5i", "hsnet")
SCORE = Names("score", "pascal5i", "pascal5i", protocol="hsnet")
TRAIN = Names("train", "pascal5i", "pascal5i", "hsnet")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (EVAL, ("hsnet", "fss", "resnet50", "hsnet")),
        (replace(EVAL, way=2), ("hsnet", "fscs", "resnet50", "ifsl-fscs")),
        (replace(EVAL, task="fscs", backbone="small"), ("hsnet", "fscs", "small", "ifsl-fscs")),
        (replace(EVAL, protocol="ifsl-fscs"), ("hsnet", "fscs", "resnet50", "ifsl-fscs")),
        (replace(EVAL, score_at="original"), ("hsnet", "fss", "resnet50", "hsnet@original")),
        (replace(EVAL, method="copy-mask"), ("copy-mask", "fss", None, "hsnet")),
        (replace(EVAL, method="panet", variant="fscs"), ("panet", "fscs", "resnet50", "ifsl-fscs")),
        (replace(EVAL, method="panet", way=5), ("panet", "fss", "vgg16", "panet")),
        (replace(EVAL, method="panet", way=2, task="fscs"), ("panet", "fscs", "resnet50", "ifsl-fscs")),
        (SCORE, (None, "", None, "hsnet")),
        (replace(SCORE, backbone="vit", score_at="original"), (None, "", "vit", "hsnet@original")),
        (replace(TRAIN, recipe_backbone="small"), ("hsnet", "fss", "small", "hsnet")),
        (replace(TRAIN, recipe_backbone="small", counted=False), ("hsnet", "fss", "small", None)),
        (replace(TRAIN, variant="fscs", way=6), ("hsnet", "fscs", "resnet50", "ifsl-fscs")),
        (Names("train", "pascal5i", "pascal5i", backbone="small", counted=False), (None, "", "small", None)),
    ],
)
def test_what_names_mean(names: Names, expected: tuple[str | None, str, str | None, str | None]) -> None:
    found = resolve(names)
    method, protocol = found.method, found.protocol
    assert (method and method.name, found.variant, found.backbone, protocol and protocol.name) == expected
    assert (found.dataset, found.trained_on, found.way, found.shot) == ("pascal5i", "pascal5i", names.way, names.shot)


@pytest.mark.parametrize("dataset", ["coco20i", "shapes20i"])
def test_several_ways_mean_fs_cs_where_the_own_form_is_not_asked_them(dataset: str) -> None:
    assert resolve(replace(EVAL, method="panet", way=2, dataset=dataset, trained_on=dataset)).variant == "fscs"


def test_the_protocol_is_brought_to_the_data_set() -> None:
    assert resolve(replace(SCORE, dataset="fss1000")).rules.split == "test"


@pytest.mark.parametrize("purpose", ["evaluate", "train"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "hsnt"}, "unknown method 'hsnt'"),
        ({"variant": "joint"}, "hsnet has no variant 'joint'"),
        ({"variant": "fss", "task": "fscs"}, "is for the task fss, not fscs"),
        ({"method": "bam", "task": "fscs"}, "bam has no variant for the task fscs"),
        ({"task": "fscs", "protocol": "hsnet"}, "protocol hsnet is for the task fss, not fscs"),
        ({"protocol": "suim"}, "protocol suim is not defined for pascal5i"),
        ({"backbone": "resnet18"}, "hsnet has no backbone 'resnet18'"),
        ({"method": "bam", "weak": True}, "bam can't learn from image-level labels"),
        ({"method": "copy-mask", "backbone": "small"}, "copy-mask has no backbone"),
        ({"variant": "fss", "way": 2}, "predicts 1-way episodes only|defined for 1-way"),
    ],
)
def test_what_does_not_fit_is_refused_alike(purpose: Purpose, change: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve(replace(EVAL, purpose=purpose, **change))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (replace(SCORE, way=2), "protocol hsnet is defined for 1-way episodes, not 2 ways"),
        (replace(SCORE, shot=0), "at least one support per class"),
        (replace(SCORE, dataset="suim"), "protocol hsnet is not defined for suim"),
        (replace(SCORE, protocol=None), "no protocol was named, and none is known"),
        (replace(EVAL, protocol="bam-gfss"), "also counts base classes, which hsnet does not predict"),
        (replace(EVAL, variant="fscs", way=6), "1 to 5 ways, not 6"),
    ],
)
def test_rules_of_counting_are_held_where_something_is_counted(names: Names, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve(names)


def test_a_data_set_that_the_release_does_not_evaluate_names_the_protocols_that_do() -> None:
    with pytest.raises(UsageError, match="protocol pfenet is not defined for fss1000") as raised:
        resolve(replace(EVAL, method="pfenet", dataset="fss1000"))
    assert raised.value.remedy is not None
    first, *others = re.findall(r"[a-z0-9-]+", raised.value.remedy.removeprefix("--protocol "))
    for name in (first, *(other for other in others if other != "or")):
        assert resolve(replace(EVAL, method="pfenet", dataset="fss1000", protocol=name)).protocol is not None
