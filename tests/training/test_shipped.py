"""The demo's own checkpoints and the numbers that are claimed of them."""

from __future__ import annotations

import pandas as pd
import pytest
from safetensors import safe_open

import fssbench
from fssbench.checkpoints import find, load_into, locate, records
from fssbench.resources import shipped

FLOORS = {"all-foreground", "copy-mask", "prototype"}
TRAINED = {"hsnet", "asnet"}
MARGIN = 5.0
"""Points of mIoU by which a trained method has to lie above the best floor of its fold."""
OURS = [record for record in records() if record.dataset == "shapes20i"]


@pytest.fixture(scope="module")
def baselines() -> pd.DataFrame:
    return pd.read_csv(shipped("benchmarks/baselines/shapes20i.csv"), keep_default_na=False)


def test_trained_methods_beat_every_floor_on_every_fold(baselines: pd.DataFrame):
    for (shots, fold), group in baselines.groupby(["shots", "fold"]):
        miou = group.set_index("method")["miou"]
        assert set(miou.index) == FLOORS | TRAINED
        assert miou[list(TRAINED)].min() > miou[list(FLOORS)].max() + MARGIN, (shots, fold)
    assert set(baselines["shots"]) == {1, 5}
    assert set(baselines["fold"]) == {0, 1, 2, 3}


def test_the_numbers_belong_to_these_files_and_episodes(baselines: pd.DataFrame):
    known = {record.id: record for record in OURS}
    dataset = fssbench.open_dataset("shapes20i")
    for row in baselines.itertuples():
        assert row.data_fingerprint == dataset.fingerprint
        assert (row.checkpoint in known) == (row.method in TRAINED | {"prototype"})
        if row.checkpoint in known:
            assert row.checkpoint_sha256 == known[row.checkpoint].sha256
            assert row.backbone_sha256 == known[row.checkpoint].backbone_sha256
    asked = baselines.drop_duplicates(["fold", "shots", "episodes_hash"])
    assert len(asked) == 8, "all methods are asked the same"
    for row in asked.itertuples():
        drawn = fssbench.episodes(dataset, row.fold, 1, row.shots, row.protocol, row.episodes)
        assert drawn.hash == row.episodes_hash


def test_the_files_are_there_and_small():
    assert len(OURS) == 12
    files = {path for record in OURS for path in locate(record)}
    assert len(files) == 12
    assert sum(path.stat().st_size for path in files) < 4_000_000


@pytest.mark.parametrize("record", OURS, ids=lambda record: record.id)
def test_a_file_says_which_fold_it_has_not_seen(record):
    with safe_open(locate(record)[0], "pt") as opened:
        note = opened.metadata()
    assert note["network"] == (record.method or record.backbone)
    assert (note["dataset"], note["fold"]) == (record.dataset, str(record.fold))
    assert note["data_fingerprint"] == fssbench.open_dataset("shapes20i").fingerprint


@pytest.mark.parametrize("fold", [0, 1, 2, 3])
def test_every_eighth_episode_of_each_fold(fold: int):
    dataset = fssbench.open_dataset("shapes20i")
    asked = fssbench.episodes(dataset, fold, 1, 1, "shapes")[::8]
    reached = {}
    for name in ("hsnet", "prototype"):
        record = find(name, None, "small", "shapes20i", fold)
        method = fssbench.build(name, backbone="small", **record.options)
        load_into(method, *locate(record))
        reached[name] = fssbench.evaluate(method, dataset, asked, protocol="shapes").summary(draws=0).miou
    assert reached["hsnet"] > reached["prototype"] + MARGIN
