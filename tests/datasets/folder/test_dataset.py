"""One's own photos as a data set like any other."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import fssbench
from fssbench.datasets.folder.dataset import Folder
from fssbench.episode import read_episodes, write_episodes
from fssbench.episode.verify import verify
from fssbench.errors import MissingError, UsageError
from fssbench.protocols.rules import list_protocols, protocol
from fssbench.training.draws import EpisodeSampler
from tests.datasets.trees import label_map, own_tree, save_binary, save_palette, save_photo

DESCRIPTION = (
    'folds = [["leaf", "stem"], ["root", "bark"]]\n[classes]\n1 = "leaf"\n2 = "stem"\n3 = "root"\n9 = "bark"\n'
)
NOVEL = [(1, 2, 3, 9)[n % 4] for n in range(16)]
LABELS = {
    f"p{n:02d}": label_map((NOVEL[n], 5, 5, 60, 50), (NOVEL[n - 1], 70, 5, 50, 60), (255, 0, 0, 3, 96))
    for n in range(16)
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return own_tree(tmp_path / "own", LABELS, DESCRIPTION)


def opened(root: Path) -> Folder:
    dataset = fssbench.open_dataset("folder", root)
    assert isinstance(dataset, Folder)
    return dataset


def test_classes_folds_and_lists(root: Path) -> None:
    dataset = opened(root)
    assert (dataset.name, dataset.fold_count, dataset.list_order) == ("folder", 2, "canonical (by name)")
    assert dict(dataset.class_names) == {1: "leaf", 2: "stem", 3: "root", 9: "bark"}
    assert (dataset.fold_classes(1), dataset.fold_classes(1, "train")) == ((3, 9), (1, 2))
    index = dataset.index("val")
    assert [str(kind) for kind in index.dtypes] == ["str", "int64", "int64"]
    assert index.iloc[0].tolist() == ["p00", 1, 3000]
    entries = dataset.entries(0)
    assert entries["name"].tolist()[:3] == ["p00", "p01", "p01"]
    assert entries["class_id"].tolist()[:3] == [1, 1, 2]
    assert dataset.entries(0, "train")["class_id"].is_monotonic_increasing
    assert (dataset.label("p03") == LABELS["p03"]).all()
    assert dataset.image("p03").shape == (*LABELS["p03"].shape, 3)
    with pytest.raises(UsageError, match="folder has no fold 2: its folds are 0 to 1"):
        dataset.entries(2)
    with pytest.raises(UsageError, match="no test photos"):
        dataset.index("test")
    with pytest.raises(MissingError, match="has no photo 'q'"):
        dataset.label("q")


def test_val_photos_are_set_aside(root: Path) -> None:
    assert opened(root).index("train").equals(opened(root).index("val"))
    with pytest.raises(MissingError, match=r"has no val\.txt: the evaluation would use the training photos"):
        opened(root).check_learnable(0)
    (root / "val.txt").write_text("".join(f"p{n:02d}\n" for n in range(8)))
    dataset = opened(root)
    sides = {side: set(dataset.index(side)["name"]) for side in ("val", "train")}  # type: ignore[arg-type]
    assert sides == {"val": {f"p{n:02d}" for n in range(8)}, "train": {f"p{n:02d}" for n in range(8, 16)}}
    dataset.check_learnable(0)
    (root / "dataset.toml").write_text(DESCRIPTION.partition("\n")[2])
    with pytest.raises(UsageError, match="none is left for training"):
        opened(root).check_learnable(0)


def test_a_class_needs_as_many_pixels_as_the_description_says(root: Path) -> None:
    (root / "dataset.toml").write_text(f"min_pixels = 3001\n{DESCRIPTION}")
    assert opened(root).entries(0).empty
    assert len(opened(root).index("val")) == 32


@pytest.mark.parametrize("name", list_protocols())
@pytest.mark.parametrize("shot", [1, 3])
def test_every_protocol_draws_from_it(root: Path, tmp_path: Path, name: str, shot: int) -> None:
    dataset = opened(root)
    way = protocol(name).way[1] and min(protocol(name).way[1], 2)
    drawn = fssbench.episodes(dataset, fold=1, way=way, shot=shot, protocol=name, count=8)
    assert (drawn.way, drawn.shot) == (way, shot)
    assert {c for episode in drawn for c in episode.classes} <= {3, 9}
    path = write_episodes(drawn, tmp_path / "list.json")
    assert read_episodes(path) == drawn
    assert {finding.state for finding in verify(drawn, dataset)} == {"ok"}


def test_too_few_images_are_named_and_skipped_on_request(root: Path) -> None:
    dataset = opened(root)
    with pytest.raises(MissingError, match=r"folder \(fold 0, val\) has too few images of leaf \(8\), stem \(8\)"):
        fssbench.episodes(dataset, fold=0, way=2, shot=8, protocol="ifsl-fscs")
    save_palette(root / "masks" / "p00.png", label_map((1, 0, 0, 9, 9), (3, 50, 50, 9, 9)))
    drawn = fssbench.episodes(opened(root), fold=1, shot=8, protocol="panet", count=3, skip_short_classes=True)
    assert drawn.left_out == (9,)


@pytest.mark.parametrize("name", list_protocols())
def test_k_shots_need_k_other_photos_by_every_protocol(root: Path, name: str) -> None:
    way = protocol(name).way[1] and min(protocol(name).way[1], 2)
    assert fssbench.episodes(opened(root), fold=1, way=way, shot=7, protocol=name, count=3).shot == 7
    dataset = fssbench.open_dataset("folder", root, train_dataset="shapes20i", test_classes="own")
    with pytest.raises(MissingError, match=r"too few images of root \(8\), bark \(8\); an episode needs 9 different"):
        fssbench.episodes(dataset, fold=1, way=way, shot=8, protocol=name, count=3)
    save_palette(root / "masks" / "p00.png", label_map((1, 0, 0, 60, 60), (3, 50, 50, 46, 46)))
    drawn = fssbench.episodes(opened(root), 1, 1, 7, "hsnet", skip_short_classes=True)
    assert drawn.left_out == (9,), "7 photos are left of it"


@pytest.mark.parametrize(
    "change",
    [
        "a class's name",
        "a fold",
        "the least pixels",
        "the rule of EXIF",
        "val.txt",
        "a mask that keeps its counts",
        "a photo less",
    ],
)
def test_the_fingerprint_covers_what_decides(root: Path, change: str) -> None:
    before = opened(root).fingerprint
    assert opened(root).fingerprint == before
    text = {
        "a class's name": DESCRIPTION.replace("bark", "crown"),
        "a fold": DESCRIPTION.replace('"leaf", "stem"', '"leaf"'),
        "the least pixels": f"min_pixels = 2\n{DESCRIPTION}",
        "the rule of EXIF": f'exif = "stored"\n{DESCRIPTION}',
    }
    (root / "dataset.toml").write_text(text.get(change, DESCRIPTION))
    if change == "val.txt":
        (root / "val.txt").write_text("p00\np01\n")
    if change == "a mask that keeps its counts":
        save_palette(root / "masks" / "p05.png", np.ascontiguousarray(LABELS["p05"][::-1]))
    if change == "a photo less":
        for path in (root / "images" / "p05.jpg", root / "masks" / "p05.png"):
            path.unlink()
    assert opened(root).fingerprint != before


def test_the_fingerprint_is_of_the_labels_not_of_their_files(root: Path, tmp_path: Path) -> None:
    """The same labels as binary masks, elsewhere, behind a link, with photos of another suffix."""
    for path in sorted((root / "masks").iterdir()):
        save_palette(path, np.where(LABELS[path.stem] == 255, 0, LABELS[path.stem]).astype(np.uint8))
    before = opened(root).fingerprint
    other = tmp_path / "other"
    for name in LABELS:
        save_photo(other / "images" / f"{name}.PNG", LABELS[name].shape[:2])  # type: ignore[arg-type]
        for class_id, folder in opened(root).class_names.items():
            if (LABELS[name] == class_id).any():
                save_binary(other / "masks" / folder / f"{name}.png", LABELS[name] == class_id)
    shutil.copy(root / "dataset.toml", other)
    (tmp_path / "link").symlink_to(other)
    assert opened(tmp_path / "link").fingerprint == before


def test_photos_of_phones_are_upright(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.zeros((96, 128, 3), dtype=np.uint8)  # 128 x 96 once it is upright, as its mask
    stored[:, :64] = 255
    Image.fromarray(stored).save(root / "images" / "p00.jpg", exif=exif)
    dataset = opened(root)
    assert dataset.image_size("p00") == dataset.image("p00").shape[:2] == dataset.label("p00").shape == (128, 96)
    assert dataset.image("p00")[:60].min() > 200, "what is stored at the left is shown on top"
    save_palette(root / "masks" / "p00.png", label_map((1, 0, 0, 9, 9), size=(96, 128)))
    (root / "dataset.toml").write_text(f'exif = "stored"\n{DESCRIPTION}')
    assert opened(root).image("p00").shape[:2] == opened(root).label("p00").shape == (96, 128)


def test_it_is_evaluated_like_any_other(root: Path) -> None:
    dataset = opened(root)
    episodes = fssbench.episodes(dataset, fold=0, way=1, shot=2, protocol="shapes", count=4)
    results = fssbench.evaluate(fssbench.build("copy-mask"), dataset, episodes)
    assert len(results.frame) == 4
    assert results.run.dataset.fold_count == 2
    (fold,) = results.run.folds
    assert fold.classes == (1, 2)


def test_voc_photos_answer_as_pascal5i(shared: Path, tmp_path: Path) -> None:
    """A folder of a handful of VOC photos gives the rows of pascal5i on the same episodes."""
    source = shared / "data" / "VOC2012"
    pascal = fssbench.open_dataset("pascal5i", source)
    here = {path.stem for path in (source / "JPEGImages").iterdir()}
    every = fssbench.episodes(pascal, fold=1, way=1, shot=1, protocol="hsnet", count=300, skip_short_classes=True)
    asked = [e for e in every if {e.query, *e.supports[0]} <= here][:4]
    assert len(asked) == 4
    for name in {name for e in asked for name in (e.query, *e.supports[0])}:
        for folder, suffix, own in (("JPEGImages", "jpg", "images"), ("SegmentationClassAug", "png", "masks")):
            (tmp_path / own).mkdir(exist_ok=True)
            shutil.copy(source / folder / f"{name}.{suffix}", tmp_path / own / f"{name}.{suffix.upper()}")
    folds = [[pascal.class_names[c] for c in pascal.fold_classes(fold)] for fold in range(4)]
    names = "".join(f'{c} = "{name}"\n' for c, name in pascal.class_names.items())
    (tmp_path / "dataset.toml").write_text(f"folds = {json.dumps(folds)}\n[classes]\n{names}")
    own_data = fssbench.open_dataset("folder", tmp_path)
    torch.manual_seed(0)
    hsnet, floor = fssbench.build("hsnet", backbone="small"), fssbench.build("copy-mask")
    at_192 = replace(protocol("shapes"), datasets=("pascal5i",))
    for method, rules in ((hsnet, at_192), (floor, "hsnet"), (floor, "hsnet@original")):
        expected, found = (
            fssbench.evaluate(method, dataset, asked, protocol=rules).frame.drop(columns="seconds")
            for dataset in (pascal, own_data)
        )
        assert found.equals(expected)
        assert found["query"].tolist() == [e.query for e in asked]


def test_small_objects_under_the_rule_of_2048_pixels_name_the_rule(tmp_path: Path) -> None:
    """All is well with the folder, so that a check of it would say nothing."""
    small = {f"p{n}": label_map((1 + n % 2, 5, 5, 30, 24)) for n in range(6)}
    dataset = opened(own_tree(tmp_path / "small", small, '[classes]\n1 = "leaf"\n2 = "stem"\n'))
    assert len(fssbench.episodes(dataset, shot=2, protocol="hsnet", count=3)) == 3
    said = r"lists no val image: PFENet .* from 2048 pixels on, .* leaves out 6 images here, with up to 720"
    for name in ("pfenet", "bam"):
        with pytest.raises(MissingError, match=said) as caught:
            fssbench.episodes(dataset, protocol=name, count=3)
        assert (caught.value.remedy or "").startswith("--protocol hsnet")
    mixed = small | {f"q{n}": label_map((1, 5, 5, 60, 50)) for n in range(2)}
    dataset = opened(own_tree(tmp_path / "mixed", mixed, '[classes]\n1 = "leaf"\n2 = "stem"\n'))
    with pytest.raises(MissingError, match=r"too few images of leaf \(2\); .* 3 different .*; PFENet and later"):
        fssbench.episodes(dataset, shot=2, protocol="pfenet", count=3)
    with pytest.raises(MissingError, match="too few images") as caught:
        fssbench.episodes(dataset, shot=9, protocol="panet", count=3)
    assert "2048" not in caught.value.message, "that rule is not at fault"


def test_small_objects_to_learn_from_name_the_rule(tmp_path: Path) -> None:
    small = {f"p{n}": label_map((1 + n % 2, 5, 5, 30, 24)) for n in range(6)}
    description = 'folds = [["leaf"], ["stem"]]\n[classes]\n1 = "leaf"\n2 = "stem"\n'
    dataset = opened(own_tree(tmp_path / "small", small, description))
    assert EpisodeSampler.of_fold(dataset, 0, seed=0).lists.keys() == {2}
    with pytest.raises(MissingError, match=r"lists no class .* PFENet .* 2048 pixels"):
        EpisodeSampler.of_fold(dataset, 0, seed=0, rule="2048 pixels")
