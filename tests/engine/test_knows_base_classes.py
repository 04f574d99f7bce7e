"""A method's base classes are counted only where the data set has the same ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import fssbench
from fssbench.errors import UsageError
from fssbench.methods.catalogue import MethodInfo, method_info
from fssbench.planning.base_classes import check_base_class_count, check_base_classes_known, check_base_classes_shared
from fssbench.planning.plan import plan
from fssbench.planning.request import Request
from fssbench.protocols.rules import protocol
from fssbench.training import plan as training
from fssbench.training.request import Request as TrainingRequest
from tests.episode.stub import ListsOnly

BAM = method_info("bam")
FOUR = ListsOnly("lists", [], (1, 2, 3, 4))


def test_the_number_it_is_built_with_unless_said() -> None:
    assert fssbench.build("bam", backbone="small", width=8, base_width=8).base_classes == BAM.base_classes


@pytest.mark.parametrize("options", [{}, {"base_classes": 3}, {"base_classes": 60}])
def test_more_or_fewer_base_classes_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=rf"have {options.get('base_classes', 15)} base classes.*fold 0 has 4"):
        check_base_class_count(BAM, options, FOUR, 0)
    check_base_class_count(BAM, {"base_classes": 4}, FOUR, 0)
    check_base_class_count(method_info("pfenet"), {}, FOUR, 0)


def test_other_methods_are_not_asked_for_them() -> None:
    pfenet, together = method_info("pfenet"), protocol("bam-gfss")
    with pytest.raises(UsageError, match="pfenet does not predict; bam, hdmnet can be used"):
        check_base_classes_known(pfenet, together)
    check_base_classes_known(pfenet, protocol("bam"))
    check_base_classes_known(pfenet, protocol("hsnet"))
    check_base_classes_known(BAM, together)
    unsaid = MethodInfo("mine", "mine:Mine", "", "", "", {"": "fss"}, (), trainable=False, base_classes=None)
    check_base_classes_known(unsaid, together)
    with pytest.raises(UsageError):
        check_base_classes_known(replace(unsaid, base_classes=0), together)


def test_base_classes_of_another_data_set_are_not_counted() -> None:
    with pytest.raises(UsageError, match="learned on coco20i are not those of pascal5i"):
        check_base_classes_shared(BAM, protocol("bam"), "coco20i", "pascal5i")
    # Both have fifteen, and they are not the same.
    with pytest.raises(UsageError, match="learned on pascal5i are not those of shapes20i"):
        check_base_classes_shared(BAM, protocol("bam-gfss"), "pascal5i", "shapes20i")
    check_base_classes_shared(BAM, protocol("bam"), "shapes20i", "shapes20i-underwater")
    check_base_classes_shared(BAM, protocol("pfenet"), "coco20i", "pascal5i")
    check_base_classes_shared(method_info("pfenet"), protocol("bam"), "coco20i", "pascal5i")


def test_an_evaluation_with_another_number_is_refused_when_planned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    request = Request("bam", "shapes20i", fold="0", episodes="2", random_weights=True)
    plan(request)
    monkeypatch.setattr("fssbench.planning.resolve.method_info", lambda _: replace(BAM, base_classes=60))
    with pytest.raises(UsageError, match="60 base classes here, but shapes20i fold 0 has 15"):
        plan(request)


def test_a_training_with_another_number_is_refused_when_planned(tmp_path: Any) -> None:
    file = tmp_path / "mine.toml"
    fields = 'source = "mine"\nbatch = 2\npicture = [64, 64]\nview = [64, 64]\nsteps = 1\nbackbone = "small"\n'
    file.write_text(f'["bam/shapes20i"]\n{fields}options = {{ base_classes = 60 }}\n')
    request = TrainingRequest("shapes20i", 0, "bam", config=file, out=tmp_path / "out")
    with pytest.raises(UsageError, match="60 base classes here, but shapes20i fold 0 has 15"):
        training.plan(request)
