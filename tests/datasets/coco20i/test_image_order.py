"""PFENet's order of the val images: what is read, what is kept, and that it decides the draw."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fssbench.datasets.coco20i import image_order as coco_image_list
from fssbench.datasets.coco20i.dataset import Coco20i
from fssbench.datasets.coco20i.facts import image_name
from fssbench.datasets.coco20i.image_order import image_order
from fssbench.datasets.splits import stored as imported
from fssbench.datasets.splits.importing import import_splits
from fssbench.episode import episodes
from fssbench.errors import BrokenFileError, MissingError


def write(folder: Path, *ids: int, tail: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "val_data_list.txt"
    name = "COCO_val2014_{:012d}"
    lines = [f"images/val2014/{name.format(i)}.jpg labels/val2014/{name.format(i)}.png\n" for i in ids]
    path.write_text("".join(lines) + tail)
    return path


@pytest.mark.parametrize("above", ["lists/coco", "data/lists/coco", "coco", "."])
def test_the_order_is_kept_as_it_is(tmp_path: Path, above: str) -> None:
    assert image_order() is None
    write(tmp_path / above, 30, 10, 20)
    [side] = import_splits("coco20i", tmp_path)
    assert (side.split, side.release, side.summary) == ("val", "PFENet", "the order of 3 images")
    assert side.differences == ("the list has 3 images, PFENet's has 40137, in its order",)
    order = image_order()
    assert order is not None
    assert order.names == tuple(image_name("val", i) for i in (30, 10, 20))
    assert order.origin == "imported (not PFENet's)"


@pytest.mark.parametrize(
    ("ids", "tail", "message"),
    [
        ((30, 10, 30), "", "lists an image twice"),
        ((), "", "lists no image"),
        ((30,), "\n", "line 2 does not name a photo"),
        ((30,), "COCO_train2014_000000000010.jpg x.png\n", "line 2 does not name a photo"),
        ((30,), "\xe9", "can't read"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, ids: tuple[int, ...], tail: str, message: str) -> None:
    path = write(tmp_path, *ids)
    path.write_bytes(path.read_bytes() + tail.encode("latin-1"))
    with pytest.raises(BrokenFileError, match=message):
        import_splits("coco20i", tmp_path)
    assert image_order() is None


def test_a_folder_without_lists_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"nor val_data_list\.txt") as caught:
        import_splits("coco20i", tmp_path)
    assert "lists/coco of PFENet's" in str(caught.value.remedy)


def test_a_changed_store_is_refused(tmp_path: Path) -> None:
    path = coco_image_list.store_image_list([1, 2])
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"lists": {"images": ["a"]}}))
    with pytest.raises(BrokenFileError, match="does not have image ids"):
        image_order()
    assert imported.path_of("coco20i-images", "val") == path


def test_the_order_decides_whom_pfenet_asks(shared: Path, tmp_path: Path) -> None:
    dataset = Coco20i(shared / "data/COCO2014")
    index = dataset.index("val")
    names = list(dict.fromkeys(index.loc[index["pixels"] >= 2048, "name"]))
    by_name = episodes(dataset, 0, 1, 1, "pfenet", skip_short_classes=True)
    assert by_name.list_order == "canonical (by name)"
    ids = [int(name[-16:-4]) for name in names]
    import_splits("coco20i", write(tmp_path, *ids[::-1]).parent)
    back = episodes(dataset, 0, 1, 1, "pfenet", skip_short_classes=True)
    assert (len(by_name), len(back), back.list_order) == (20001, 20001, "imported (not PFENet's)")
    count = len({e.query for e in by_name})
    assert [e.query for e in back[:count]] == [e.query for e in by_name[:count]][::-1]
