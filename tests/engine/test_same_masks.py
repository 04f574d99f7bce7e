"""Rows of one run are of one set of masks, also where it is continued, put together, scored, compared or repeated."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fssbench import evaluate, open_dataset
from fssbench.comparison.pairing import pair
from fssbench.datasets.dataset import Label
from fssbench.datasets.splits import stored
from fssbench.engine.features.loader import Loader
from fssbench.engine.same_masks import check_same_masks
from fssbench.errors import BrokenFileError, UsageError
from fssbench.planning.settings import Settings
from fssbench.results import Row, load_run, read_rows
from fssbench.results.merge import merge
from fssbench.results.photos import mask_digest
from fssbench.results.progress import Silent
from fssbench.results.replayed import changed_images
from fssbench.results.rows import line_of
from tests.datasets.objects.trees import lvis_tree, mask, paco_tree, part_tree, run_lengths, voc_object
from tests.datasets.trees import (
    annotation,
    box,
    coco_tree,
    fss_tree,
    isic_tree,
    label_map,
    own_tree,
    save_photo,
    suim_part,
    voc_tree,
)
from tests.engine.stub import NearestColour, Patches, questions, rules

LIST = questions(count=6, shot=2)


class Repainted(Patches):
    """Pictures of which some masks were replaced by their mirror image: as many pixels of each class, elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.mirrored: set[str] = set()

    def label(self, name: str) -> Label:
        label = super().label(name)
        return np.ascontiguousarray(label[:, ::-1]) if name in self.mirrored else label


@pytest.fixture
def dataset() -> Repainted:
    return Repainted()


@pytest.fixture
def run(tmp_path: Path, dataset: Repainted) -> Path:
    evaluate_list(dataset, tmp_path / "run", limit=3)
    return tmp_path / "run"


def evaluate_list(dataset: Patches, out: Path, **options: object) -> None:
    evaluate(NearestColour(shot=2), dataset, LIST, protocol=rules(), out=out, **options)


def names_of(row: Row) -> list[str]:
    return [row.query, *row.supports[0]]


@pytest.mark.parametrize("cache", [0, None])
def test_a_row_has_the_digest_of_each_mask_it_was_computed_from(dataset: Repainted, tmp_path: Path, cache: int | None):
    dataset.mirrored = {"p2"}
    evaluate_list(dataset, tmp_path / "run", settings=Settings(feature_cache=cache))
    for row in read_rows(tmp_path / "run" / "rows.jsonl"):
        assert row.masks == tuple(mask_digest(dataset.label(name)) for name in names_of(row))


@pytest.mark.parametrize("which", [0, 2])
def test_a_run_is_not_continued_on_other_masks(dataset: Repainted, run: Path, which: int):
    rows = read_rows(run / "rows.jsonl")
    before = {path: path.read_bytes() for path in run.iterdir()}
    name = names_of(rows[0])[which]
    dataset.mirrored = {name}
    count = len({name for row in rows for name in names_of(row)})
    message = f"1 of the {count} masks of its rows have changed since, the first that of {name}"
    with pytest.raises(UsageError, match=message):
        evaluate_list(dataset, run, resume=True)
    assert {path: path.read_bytes() for path in run.iterdir()} == before
    dataset.mirrored = set()
    evaluate_list(dataset, run, resume=True)
    assert load_run(run).missing == 0


def test_rows_of_an_earlier_version_are_continued_and_it_is_said_once(
    dataset: Repainted, run: Path, caplog: pytest.LogCaptureFixture
):
    rows = read_rows(run / "rows.jsonl")
    (run / "rows.jsonl").write_text("".join(f"{line_of(replace(row, masks=None))}\n" for row in rows))
    assert "masks" not in (run / "rows.jsonl").read_text()
    evaluate_list(dataset, run, resume=True)
    assert load_run(run).frame["masks"].isna().tolist() == [True] * 3 + [False] * 3
    said = [record.getMessage() for record in caplog.records if "masks" in record.getMessage()]
    assert said == [
        f"3 of the 3 rows in {run} were computed by an earlier version, which kept no digests of masks: whether these "
        "masks have changed since is not known"
    ]


class Replacing(Silent):
    """Replaces masks after the first prediction."""

    def __init__(self, dataset: Repainted) -> None:
        self.dataset = dataset

    def advance(self, row: Row, run: int = 0) -> None:
        self.dataset.mirrored = {row.query, *(name for names in row.supports for name in names)}


def test_a_mask_replaced_during_the_evaluation(dataset: Repainted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fssbench.engine.features.loader.IMAGE_CACHE_BYTES", 0)
    with pytest.raises(BrokenFileError, match=r"the mask of p\d+ was replaced during the evaluation"):
        evaluate_list(
            dataset,
            tmp_path / "run",
            progress=Replacing(dataset),
            settings=Settings(workers=0, feature_cache=0, batch_size=1),
        )


def test_rows_of_two_processes_with_two_masks_are_no_run(dataset: Repainted, run: Path):
    # As if another process had read the mask after it was replaced.
    known = {name for row in read_rows(run / "rows.jsonl") for name in names_of(row)}
    evaluate_list(dataset, run.parent / "whole")
    later = [row for row in read_rows(run.parent / "whole" / "rows.jsonl") if row.episode >= 3]
    row, name = next((row, name) for row in later for name in names_of(row) if name in known)
    digests = ("0" * 12 if one == name else digest for one, digest in zip(names_of(row), row.masks or (), strict=True))
    (run / "rows-part1.jsonl").write_text(f"{line_of(replace(row, masks=tuple(digests)))}\n")
    with pytest.raises(BrokenFileError, match=f"two different masks of '{name}'"):
        evaluate_list(dataset, run, resume=True)


def test_parts_with_two_masks_of_an_image_are_not_merged(dataset: Repainted, tmp_path: Path):
    evaluate_list(dataset, tmp_path / "whole")
    dataset.mirrored = {read_rows(tmp_path / "whole" / "rows.jsonl")[0].supports[0][0]}
    evaluate_list(dataset, tmp_path / "other", limit=3)
    with pytest.raises(BrokenFileError, match=r"other were computed from two different masks of 'p\d+'"):
        merge([tmp_path / "whole", tmp_path / "other"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_runs_on_two_sets_of_masks_are_not_compared(dataset: Repainted, tmp_path: Path):
    evaluate_list(dataset, tmp_path / "a")
    rows = read_rows(tmp_path / "a" / "rows.jsonl")
    queries = {row.query for row in rows}
    support = next(name for row in rows for name in row.supports[0] if name not in queries)
    dataset.mirrored = {support}
    evaluate_list(dataset, tmp_path / "b")
    a, b = load_run(tmp_path / "a"), load_run(tmp_path / "b")
    count = sum(support in names_of(row) for row in rows)
    said = f"{tmp_path / 'b'} read different masks of supports under the same names in {count} of 6 episodes"
    assert said in pair([a, b]).notes
    assert changed_images(rows, read_rows(tmp_path / "b" / "rows.jsonl"), "masks") == [support]
    dataset.mirrored = {rows[2].query}
    evaluate_list(dataset, tmp_path / "c")
    with pytest.raises(UsageError, match=f"the masks of 1 queries are others in .*, the first that of {rows[2].query}"):
        pair([a, load_run(tmp_path / "c")])
    old = replace(a, frame=a.frame.drop(columns="masks"))
    assert not any("masks" in note for note in pair([old, load_run(tmp_path / "c")]).notes)


def test_a_rendered_image_has_no_digest(dataset: Repainted):
    dataset.rendered = True
    with Loader(dataset, 0) as loader:
        loader.label("p3")
        assert loader.mask_digests_of(["p3"]) is None


# Of each kind of data set: how it is written, and how the mask of an image is moved without another number of pixels.

BEFORE, AFTER = box(0, 0, 60, 60), box(20, 40, 60, 60)
PHOTO = "val2017/000000000001.jpg"
SMALL, MOVED = (5, 5, 15, 25), (6, 5, 16, 25)


def coco(root: Path, moved: bool) -> str:
    polygon = AFTER if moved else BEFORE
    found = [annotation(1, 30, 1, polygon), annotation(2, 7, 1, BEFORE)]
    coco_tree(root, {"val": ([30, 7], found), "train": ([], [])})
    return "coco20i"


def pascal(root: Path, moved: bool) -> str:
    names = {"2007_000001": label_map((1, 0, 40 if moved else 0, 60, 50)), "2007_000002": label_map((1, 0, 0, 96, 50))}
    voc_tree(root, names, list(names))
    return "pascal5i"


def own_masks(root: Path, moved: bool) -> str:
    names = {"a": label_map((1, 9 if moved else 3, 3, 20, 20)), "b": label_map((1, 3, 3, 20, 20))}
    own_tree(root, names, '[classes]\n1 = "leaf"\n')
    return "folder"


def own_coco(root: Path, moved: bool) -> str:
    images = [{"id": n, "file_name": f"{name}.jpg", "height": 40, "width": 60} for n, name in enumerate("ab")]
    polygons = [box(30 if moved else 0, 0, 20, 20), box(0, 0, 20, 20)]
    annotations = [
        {"id": n, "image_id": n, "category_id": 3, "segmentation": [polygon]} for n, polygon in enumerate(polygons)
    ]
    for name in "ab":
        save_photo(root / "images" / f"{name}.jpg", (40, 60))
    (root / "dataset.toml").write_text('[classes]\n1 = "leaf"\n')
    categories = [{"id": 3, "name": "leaf"}]
    (root / "export.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return "folder"


def fss(root: Path, moved: bool) -> str:
    from PIL import Image

    stored.store("fss1000", "test", {"classes": ["bird"]})
    folder = fss_tree(root, ["bird"])
    if moved:
        path = folder / "bird" / "1.png"
        Image.open(path).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(path)
    return "fss1000"


def lvis(root: Path, moved: bool) -> str:
    lvis_tree(root, {4: {PHOTO: [run_lengths(mask(MOVED if moved else SMALL))]}})
    return "lvis92i"


def paco(root: Path, moved: bool) -> str:
    part = run_lengths(mask(MOVED if moved else SMALL))
    paco_tree(root, [31], {31: {PHOTO: {100: ([2.9, 3.2, 40.5, 50.0], [part])}}})
    return "pacopart"


def pascal_part(root: Path, moved: bool) -> str:
    head = (6, 4, 22, 12) if moved else (4, 4, 20, 12)
    names = ("cow+HEAD", "bottle+CAP", "person+ARM", "car+WHEEL")
    kinds = ("animals", "indoor", "person", "vehicles")
    lists = {kind: {name: ["2008_000001"]} for kind, name in zip(kinds, names, strict=True)}
    part_tree(root, lists, {"2008_000001": [voc_object("cow", (2, 2, 42, 34), {"HEAD": [head]})]})
    return "pascalpart"


def suim(root: Path, moved: bool) -> str:
    suim_part(root / "SUIM" / "TEST", {"n_2": label_map((1, 5 if moved else 0, 0, 10, 10), size=(40, 60))})
    return "suim"


def isic(root: Path, moved: bool) -> str:
    from PIL import Image

    isic_tree(root, {"ISIC_0000003": "melanoma", "ISIC_0000001": "nevus", "ISIC_0000002": "seborrheic_keratosis"})
    if moved:
        [path] = root.rglob("ISIC_0000003_segmentation.png")
        Image.open(path).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(path)
    return "isic2018"


IMAGES: dict[Callable[[Path, bool], str], str] = {
    coco: "val2014/COCO_val2014_000000000030.jpg",
    pascal: "2007_000001",
    own_masks: "a",
    own_coco: "a",
    fss: "bird/1.jpg",
    lvis: f"{PHOTO}/4",
    paco: f"{PHOTO}/100/31",
    pascal_part: "2008_000001/0/cow+HEAD",
    suim: "test/n_2",
    isic: "ISIC_0000003",
}


@pytest.mark.parametrize("write", IMAGES, ids=lambda write: write.__name__)
def test_a_moved_mask_of_every_kind_of_data_set_is_noticed(write: Callable[[Path, bool], str], tmp_path: Path):
    image = IMAGES[write]
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
    before = open_dataset(write(tmp_path / "before", False), tmp_path / "before")
    after = open_dataset(write(tmp_path / "after", True), tmp_path / "after")
    label, moved = before.label(image), after.label(image)
    assert np.bincount(label.ravel()).tolist() == np.bincount(moved.ravel()).tolist(), "else the fingerprint differs"
    class_id = int(label.max())
    masks = (mask_digest(label), "")
    row = Row(0, 0, image, (class_id,), (("?",),), (1, 1), (2, 2), (True,), (True,), 0.1, masks=masks)
    check_same_masks([row], before, tmp_path)
    with pytest.raises(UsageError, match="1 of the 1 masks of its rows have changed since"):
        check_same_masks([row], after, tmp_path)


def test_an_annotation_that_is_gone_is_no_mask_to_continue_on(tmp_path: Path):
    dataset = open_dataset(lvis(tmp_path, False), tmp_path)
    row = Row(0, 0, f"{PHOTO}/4", (1,), (("?",),), (1, 1), (2, 2), (True,), (True,), 0.1, masks=("0" * 12, ""))
    (tmp_path / "LVIS" / "lvis_val.pkl").write_bytes(pickle.dumps({}))
    with pytest.raises(BrokenFileError, match="can't be continued"):
        check_same_masks([row], dataset, tmp_path)
