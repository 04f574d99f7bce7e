"""`fssbench.load`: the weights of a fold, photos as they are, and evaluations that training has not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

import fssbench
from fssbench.checkpoints import find, locate
from fssbench.errors import MissingError, UsageError
from fssbench.photos import Segmentation, TrainedMethod


@pytest.fixture(scope="module")
def hsnet() -> TrainedMethod:
    return fssbench.load("hsnet", "shapes20i", 0)


@pytest.fixture(scope="module")
def shapes() -> fssbench.EpisodeList:
    return fssbench.episodes(fssbench.open_dataset("shapes20i"), 0, 1, 2, "shapes", 2)


def test_it_segments_as_segment_does(hsnet: TrainedMethod, shapes: fssbench.EpisodeList) -> None:
    dataset, episode = fssbench.open_dataset("shapes20i"), shapes[0]
    names, label = episode.supports[0], episode.classes[0]
    photos, masks = [dataset.image(name) for name in names], [dataset.label(name) == label for name in names]
    queries = [dataset.image(one.query) for one in shapes]
    found = hsnet.segment(queries, photos, masks, "shape")
    expected = fssbench.segment(queries, photos, masks, "shape", method="hsnet", backbone="small",
                                train_dataset="shapes20i", fold=0)  # fmt: skip
    assert isinstance(found, list)
    assert isinstance(expected, list)
    assert [one.labels.shape for one in found] == [query.shape[:2] for query in queries]
    assert all(np.array_equal(one.labels, other.labels) for one, other in zip(found, expected, strict=True))
    assert all(np.array_equal(one.masks[0], one.labels == 1) for one in found)
    assert found[0].classes == ("shape",)
    assert any(one.shares[0] > 0 for one in found)


def test_images_of_every_kind(hsnet: TrainedMethod, tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    rgba = np.dstack([rgb, np.full((50, 70), 9, np.uint8)])
    mask = np.zeros((50, 70), bool)
    mask[10:30, 20:60] = True
    PillowImage.fromarray(rgb).save(tmp_path / "a.png")
    cut_out = PillowImage.fromarray(np.dstack([rgb, mask * np.uint8(255)]))

    def labels(query: object, support: object, marked: object) -> np.ndarray:
        found = hsnet.segment(query, support, marked)
        assert isinstance(found, Segmentation)
        return found.labels

    plain = labels(rgb, rgb, mask)
    assert 0 < plain.mean() < 1
    for photo in (rgba, PillowImage.fromarray(rgb), PillowImage.fromarray(rgba), tmp_path / "a.png"):
        assert np.array_equal(labels(photo, photo, mask), plain)
    # A mask may be a cut-out, or drawn in one colour, as it may in a file.
    coloured = PillowImage.fromarray(mask[..., None] * np.array([255, 0, 10], np.uint8))
    assert np.array_equal(labels(rgb, rgb, cut_out), plain)
    assert np.array_equal(labels(rgb, rgb, coloured), plain)
    grey = np.ascontiguousarray(rgb[..., 0])
    assert np.array_equal(labels(grey, grey, mask), labels(grey[..., None], np.dstack([grey] * 3), mask))
    with pytest.raises(UsageError, match=r"not float64 \(50, 70, 3\)") as refused:
        hsnet.segment(rgb / 255, rgb, mask)
    assert "255 * image" in str(refused.value.remedy)


def test_it_is_evaluated_and_the_record_names_its_weights(hsnet: TrainedMethod, shapes: fssbench.EpisodeList) -> None:
    dataset = fssbench.open_dataset("shapes20i")
    results = fssbench.evaluate(hsnet, dataset, shapes)
    assert results.run.folds[0].weights.checkpoint == "hsnet-small-shapes20i-fold0"
    assert results.run.folds[0].weights.kind == "checkpoint"
    assert results.run.train_dataset is None
    same = fssbench.evaluate(hsnet.method, dataset, shapes)
    assert same.frame["intersection"].tolist() == results.frame["intersection"].tolist()
    water = fssbench.open_dataset("shapes20i-underwater")
    there = fssbench.evaluate(hsnet, water, fssbench.episodes(water, 0, 1, 1, "shapes", 1))
    assert there.run.train_dataset == "shapes20i"


def test_what_training_has_seen_is_not_evaluated(hsnet: TrainedMethod) -> None:
    dataset = fssbench.open_dataset("shapes20i")
    with pytest.raises(UsageError, match="has seen the classes of fold 1") as refused:
        fssbench.evaluate(hsnet, dataset, fssbench.episodes(dataset, 1, 1, 1, "shapes", 1))
    assert refused.value.remedy == 'load("hsnet", "shapes20i", 1)'
    # A method without training has seen none of them.
    floor = fssbench.load("copy-mask", "shapes20i", 0)
    results = fssbench.evaluate(floor, dataset, fssbench.episodes(dataset, 1, 1, 1, "shapes", 1))
    assert results.run.folds[0].weights.kind == "none"
    assert repr(floor) == "<copy-mask>"


def test_weights_that_are_not_here_are_named_with_the_command() -> None:
    with pytest.raises(MissingError, match="hsnet-resnet50-pascal5i-fold0 is not on this machine") as missing:
        fssbench.load("hsnet", "pascal5i", 0)
    assert "fssbench checkpoints fetch hsnet-resnet50-pascal5i-fold0" in str(missing.value.remedy)
    with pytest.raises(UsageError, match="no fold 4: its folds are 0 to 3"):
        fssbench.load("hsnet", "shapes20i", 4)
    with pytest.raises(UsageError, match="unknown dataset 'shape'"):
        fssbench.load("hsnet", "shape", 0)


def test_a_file_is_of_its_fold() -> None:
    head, backbone = locate(find("hsnet", "fss", "small", "shapes20i", 1))
    loaded = fssbench.load("hsnet", "shapes20i", 1, checkpoint=head, backbone_weights=backbone)
    assert loaded.weights.path == str(head)
    with pytest.raises(UsageError, match="fold 1"):
        fssbench.load("hsnet", "shapes20i", 0, checkpoint=head, backbone_weights=backbone)


def test_a_variant_stays_the_one_that_was_loaded(hsnet: TrainedMethod) -> None:
    photo, mask = np.zeros((40, 50, 3), np.uint8), np.ones((40, 50), bool)
    with pytest.raises(UsageError, match="1-way episodes only"):
        hsnet.segment(photo, [photo, photo], [mask, mask], ["a", "b"])
