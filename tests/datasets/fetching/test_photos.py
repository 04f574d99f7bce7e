"""Photos that arrive while others are evaluated."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fssbench.datasets.coco20i.dataset import Coco20i
from fssbench.datasets.fetching.photos import Arriving, PhotoHost, fetch_photos
from fssbench.datasets.fetching.sources import source_of
from fssbench.downloads.shown import Silent
from fssbench.errors import MissingError, UsageError
from tests.datasets.fetching.conftest import COCO, IDS, coco, mirror, stated
from tests.datasets.trees import annotation, box, coco_tree
from tests.downloads.host import Host

__all__ = ["coco", "mirror", "stated"]

NAMES = [f"val2014/COCO_val2014_{i:012d}.jpg" for i in IDS]


@pytest.fixture
def photos(coco: Host, tmp_path: Path) -> PhotoHost:
    """The host of the photos of a data set that has annotations only."""
    root = coco_tree(tmp_path, {"val": (IDS, [annotation(i, i, 1, box(0, 0, 60, 60)) for i in IDS])})
    for path in (root / "val2014").iterdir():
        path.unlink()
    source = source_of("coco20i")
    assert source is not None
    return PhotoHost(source, Coco20i(root))


def test_a_photo_whose_turn_is_late_comes_at_once(coco: Host, photos: PhotoHost) -> None:
    coco.pause = 0.05
    with Arriving(photos, NAMES, ahead=1) as arriving:
        assert photos.dataset.image(NAMES[-1]).shape == (128, 96, 3)
        assert len(coco.requests) < len(NAMES)
        for name in NAMES:
            photos.dataset.image(name)
        assert arriving.bytes == sum(len(coco.files[f"{COCO}/{name}"]) for name in NAMES)
    assert sorted(path for path, _ in coco.requests) == sorted(f"{COCO}/{name}" for name in NAMES)
    assert photos.dataset.arriving is None


def test_two_threads_may_wait_for_one_photo(coco: Host, photos: PhotoHost) -> None:
    coco.pause = 0.05
    shapes: list[tuple[int, ...]] = []
    with Arriving(photos, NAMES, ahead=1):
        threads = [
            threading.Thread(target=lambda: shapes.append(photos.dataset.image(NAMES[-1]).shape)) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert shapes == [(128, 96, 3)] * 4
    assert coco.ranges_of(f"{COCO}/{NAMES[-1]}") == [""]


def test_what_is_not_needed_any_more_is_not_fetched(coco: Host, photos: PhotoHost) -> None:
    coco.pause = 0.02

    def stopped() -> None:
        with Arriving(photos, NAMES, ahead=1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert len(coco.requests) <= 2


def test_a_photo_that_is_missing_on_its_host_ends_the_fetch_and_the_others_stay(coco: Host, photos: PhotoHost) -> None:
    del coco.files[f"{COCO}/{NAMES[3]}"]
    with pytest.raises(MissingError, match="404"):
        fetch_photos(photos, NAMES, Silent(), threads=1)
    missing = photos.missing(NAMES)
    assert NAMES[3] in missing
    assert NAMES[0] not in missing
    assert fetch_photos(photos, [name for name in missing if name != NAMES[3]], Silent()) > 0
    assert photos.missing([*NAMES, *NAMES]) == [NAMES[3]]


def test_names_from_outside_lead_nowhere(photos: PhotoHost) -> None:
    for name in ("../../etc/passwd", "val2014/../x.jpg", "/etc/passwd", "val2014/COCO_val2014_1.jpg"):
        with pytest.raises(UsageError, match="is not an image name"):
            photos.missing([name])
