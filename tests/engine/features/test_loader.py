"""Photos read ahead, in threads."""

from __future__ import annotations

import threading

import pytest
import torch

from fssbench.datasets.dataset import Image
from fssbench.engine.features.loader import InputTransform, Loader
from fssbench.errors import BrokenFileError
from tests.engine.stub import Patches

SMALL = InputTransform((24, 24), "pillow-bilinear")


class Watched(Patches):
    """Notes who reads, and with how many threads torch would compute there."""

    def __init__(self, broken: str | None = None) -> None:
        super().__init__(broken=broken)
        self.readers: list[tuple[bool, int]] = []

    def image(self, name: str) -> Image:
        own = threading.current_thread() is threading.main_thread()
        self.readers.append((own, torch.get_num_threads()))
        return super().image(name)


@pytest.mark.usefixtures("threads_restored")
def test_threads_that_read_leave_the_network_its_own():
    torch.set_num_threads(2)
    dataset = Watched()
    with Loader(dataset, workers=2) as loader:
        loader.prefetch([(SMALL, "p0"), (SMALL, "p1")])
        loader.image(SMALL, "p0")
        loader.image(SMALL, "p1")
    assert dataset.readers == [(False, 1), (False, 1)]
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("workers", [0, 1])
def test_a_photo_is_the_same_whoever_reads_it(workers: int):
    dataset = Watched()
    with Loader(dataset, workers) as loader:
        loader.prefetch([(SMALL, "p3")])
        photo = loader.image(SMALL, "p3")
        assert loader.shapes["p3"] == (23, 30)
    with Loader(Patches(), 0) as plain:
        assert torch.equal(photo, plain.image(SMALL, "p3"))
    assert dataset.readers[0][0] is (workers == 0)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_networks_that_see_a_photo_at_several_sizes_have_it_decoded_once(workers: int):
    dataset = Watched()
    views = [(SMALL, "p3"), (InputTransform((32, 32), "opencv-pad"), "p3"), (SMALL, "p4")]
    with Loader(dataset, workers) as loader:
        loader.prefetch(views)
        photos = [loader.image(*view) for view in views]
    assert [tuple(view.shape) for view in photos] == [(3, 24, 24), (3, 32, 32), (3, 24, 24)]
    assert len(dataset.readers) == 2


def test_no_more_is_read_ahead_than_fits():
    dataset = Watched()
    with Loader(dataset, workers=1, ahead=2) as loader:
        loader.prefetch([(SMALL, f"p{number}") for number in range(6)])
    assert len(dataset.readers) <= 2


def test_a_broken_photo_is_told_when_it_is_used():
    with Loader(Watched(broken="p1"), workers=1) as loader:
        loader.prefetch([(SMALL, "p1"), (SMALL, "p2")])
        loader.image(SMALL, "p2")
        with pytest.raises(BrokenFileError, match="cut off"):
            loader.image(SMALL, "p1")


def test_label_maps_are_read_once(monkeypatch: pytest.MonkeyPatch):
    dataset = Patches()
    read: list[str] = []
    label = dataset.label
    monkeypatch.setattr(dataset, "label", lambda name: (read.append(name), label(name))[1])
    with Loader(dataset, 0) as loader:
        for name in ("p0", "p1", "p0", "p0"):
            loader.label(name)
    assert read == ["p0", "p1"]
