"""A method that looks at some of the supports: the others are not encoded, and rows have their photos and masks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from fssbench import evaluate
from fssbench.episode import Episode
from fssbench.errors import MissingError
from fssbench.methods.base.method import Prediction
from fssbench.planning.settings import Settings
from tests.engine.stub import NearestColour, questions, rules
from tests.engine.test_lost_objects import LOST, Dots
from tests.engine.test_same_photos import InFiles

LIST = questions(shot=3)


class FirstTwo(NearestColour):
    """Looks at two of the supports of a class."""

    shots_read: ClassVar[int | None] = 2

    def predict(self, query: Tensor, supports: Sequence[Sequence[Tensor]], size: tuple[int, int]) -> Prediction:
        assert {len(shots) for shots in supports} == {2}
        return super().predict(query, supports, size)


@pytest.mark.parametrize("settings", [Settings(feature_cache=0, workers=0), Settings(batch_size=5)])
def test_supports_that_are_not_looked_at_change_nothing_and_are_not_encoded(settings: Settings) -> None:
    cut = [replace(one, supports=tuple(names[:2] for names in one.supports)) for one in LIST]
    few, all_, first = FirstTwo(1, 3), NearestColour(1, 3), NearestColour(1, 2)
    frames = [
        evaluate(method, Dots(), episodes, protocol=rules(), settings=settings).frame
        for method, episodes in ((few, LIST), (all_, LIST), (first, cut))
    ]
    counts = [frame["intersection"].tolist() for frame in frames]
    assert counts[0] == counts[2] != counts[1]
    assert few.encoded == first.encoded <= all_.encoded
    assert (few.encoded < all_.encoded) == (settings.feature_cache == 0)  # all images are some episode's query
    assert frames[0]["lost_supports"].tolist() == frames[1]["lost_supports"].tolist()
    assert any(one.supports[0][2] in LOST for one in LIST)


def test_rows_have_the_photos_of_supports_that_are_not_looked_at(tmp_path: Path) -> None:
    dataset = InFiles(tmp_path)
    frame = evaluate(FirstTwo(1, 3), dataset, LIST, protocol=rules()).frame
    names = [[one.query, *one.supports[0]] for one in LIST]
    digests = [tuple(hashlib.sha256(b"photo %d" % int(name[1:])).hexdigest()[:12] for name in row) for row in names]
    assert frame["photos"].tolist() == digests


def test_a_missing_photo_that_is_not_looked_at_is_named(tmp_path: Path) -> None:
    dataset = InFiles(tmp_path)
    (tmp_path / "p9").unlink()
    episode = Episode("p0", (1,), (("p3", "p6", "p9"),), 1)
    with pytest.raises(MissingError, match=r"there is no file .*p9"):
        evaluate(FirstTwo(1, 3), dataset, [episode], protocol=rules("shapes"))


def test_segment_gives_a_method_the_supports_that_it_looks_at() -> None:
    images, masks = torch.rand(1, 3, 3, 24, 24), torch.ones(1, 3, 24, 24, dtype=torch.uint8)
    masks[..., :9] = 0
    query = torch.rand(3, 24, 24)
    few, first = FirstTwo(1, 3).eval(), NearestColour(1, 2).eval()
    found = few.segment(query, images, masks).logits
    assert torch.equal(found, first.segment(query, images[:, :2], masks[:, :2]).logits)
    assert few.encoded == 3
