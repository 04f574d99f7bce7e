"""The embedded scenes under water: the same questions, other pixels, the same on every machine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import fssbench
from fssbench.datasets import open_dataset
from fssbench.datasets.shapes20i import dataset as shapes20i
from fssbench.datasets.shapes20i.dataset import Shapes20i, Shapes20iUnderwater
from fssbench.errors import MissingError, UsageError
from tests.datasets.shapes20i.test_dataset import SAMPLE, sha256

# A change of any of these is a change of the data set: raise WATER_VERSION in fssbench/datasets/shapes20i/dataset.py.
PIXELS: dict[tuple[int, str], str] = {
    (0, "train_0001"): "a21665edaacdf9cdadca884830089d23ec113a6028ae5cd30e109b455dfc64e6",
    (0, "train_1234"): "7527dd204855e5e40fca6c3f8ae96c2ffa61664b1524f6ce44942f868667d6a6",
    (0, "val_0001"): "f716dd53395eb08ae66c07177b7b80a2f0608a225cb411d8ba34ee9cc953822c",
    (0, "val_0137"): "723e6506a6e18cf2df5a83df06b1c69ccfff52276cbabc40c377aa5f5c9de4e4",
    (0, "val_0400"): "87fd47014ddd0e20a397c9b6fcc3a89168e83112908a4af6ce0f1f30413ea4cf",
    (20260101, "val_0020"): "1e6b73967929f28f79e8be6f4b5d3abf6445d488596a41e5d517f8ed16f7f675",
}
FINGERPRINT = "f6ea704ef9fe4eba3cb169d8b4ab73d9a96f7bb0746e3f3966462b23f42a4ffa"


@pytest.mark.parametrize(("seed", "name"), sorted(PIXELS))
def test_pixels_are_the_same_on_every_machine(seed: int, name: str) -> None:
    assert sha256(open_dataset("shapes20i-underwater", seed=seed).image(name)) == PIXELS[seed, name]


def test_fingerprint_is_its_own_and_depends_on_the_seed() -> None:
    assert Shapes20iUnderwater.open().fingerprint == FINGERPRINT
    assert Shapes20iUnderwater.open(seed=1).fingerprint not in (FINGERPRINT, Shapes20i.open(seed=1).fingerprint)


@pytest.mark.parametrize("name", SAMPLE[::4])
def test_everything_stays_where_it_was(name: str) -> None:
    above, under = Shapes20i(), Shapes20iUnderwater()
    np.testing.assert_array_equal(under.label(name), above.label(name))
    assert under.image(name).shape == above.image(name).shape
    assert under.image(name).dtype == np.uint8
    assert under.image_size(name) == above.image_size(name)


def test_water_takes_red_and_contrast() -> None:
    above, under = Shapes20i(), Shapes20iUnderwater()
    dry = np.stack([above.image(name).mean(axis=(0, 1)) for name in SAMPLE])
    wet = np.stack([under.image(name).mean(axis=(0, 1)) for name in SAMPLE])
    assert (wet[:, 0] < wet[:, 1]).all()
    assert (wet[:, 0] < wet[:, 2]).all()
    assert (wet[:, 0] < 0.7 * dry[:, 0]).mean() > 0.8
    assert (wet.std(axis=1) > 15).mean() > 0.9  # a cast
    # What is left of a scene's own differences; noise alone would not follow them.
    for name in SAMPLE:
        dry_green, wet_green = (data.image(name)[:, :, 1].astype(float) for data in (above, under))
        slope = np.cov(dry_green.ravel(), wet_green.ravel())[0, 1] / dry_green.var()
        assert 0.1 < slope < 0.8


def test_changing_a_picture_does_not_change_the_next_reading() -> None:
    dataset = Shapes20iUnderwater()
    before = dataset.image("val_0001")
    dataset.image("val_0001")[:] = 0
    np.testing.assert_array_equal(dataset.image("val_0001"), before)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes20i, "COUNTS", {"train": 60, "val": 60})


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("protocol", "way"), [("shapes", 1), ("shapes-fscs", 2)])
def test_episodes_are_those_of_the_data_set_above_water(protocol: str, way: int) -> None:
    above, under = Shapes20i(), Shapes20iUnderwater()
    for split in ("train", "val"):
        pd.testing.assert_frame_equal(under.index(split), above.index(split))
        pd.testing.assert_frame_equal(under.entries(2, split), above.entries(2, split))
    dry = fssbench.episodes(above, 2, way, 1, protocol, count=30)
    wet = fssbench.episodes(under, 2, way, 1, protocol, count=30)
    assert replace(wet, dataset="shapes20i", data_fingerprint=above.fingerprint) == dry
    assert wet.dataset == "shapes20i-underwater"
    assert wet.data_fingerprint == under.fingerprint
    assert wet.hash == dry.hash


def test_mistakes_name_this_data_set() -> None:
    with pytest.raises(MissingError, match="shapes20i-underwater has no image"):
        Shapes20iUnderwater().image("val_9999")
    with pytest.raises(UsageError, match="shapes20i-underwater has no files"):
        open_dataset("shapes20i-underwater", root="somewhere")
