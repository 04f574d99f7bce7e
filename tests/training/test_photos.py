"""The numbers on photos: of which weights, methods and episodes they are, and that the README has them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import fssbench
from fssbench.checkpoints import record
from fssbench.files import shipped
from fssbench.methods.build_arguments import check_build

FOLDERS = {"pascal5i": "VOC2012", "coco20i": "COCO2014"}
SETTING = ["dataset", "method", "variant", "backbone", "shots"]


@pytest.fixture(scope="module")
def photos() -> pd.DataFrame:
    return pd.read_csv(shipped("benchmarks/baselines/photos.csv"), keep_default_na=False)


def test_every_row_names_a_method_and_registered_weights(photos: pd.DataFrame) -> None:
    for row in photos.drop_duplicates([*SETTING, "fold"]).itertuples():
        info = check_build(row.method, row.backbone or None, row.variant, 1, row.shots)
        assert bool(row.weights) == info.needs_weights
        if row.weights:
            entry = record(row.weights)
            assert (entry.backbone, entry.sha256) == (row.backbone, row.sha256)


def test_a_fold_is_the_mean_of_its_classes(photos: pd.DataFrame) -> None:
    for _, rows in photos.groupby([*SETTING, "fold"]):
        whole, classes = rows[rows["class"] == "all"], rows[rows["class"] != "all"]
        assert len(whole) == 1
        assert len(classes) > 1
        assert classes["miou"].mean() == pytest.approx(whole["miou"].item(), abs=0.011)
        assert classes["episodes"].sum() == whole["episodes"].item()
        assert (rows["low"] <= rows["miou"]).all()
        assert (rows["miou"] <= rows["high"]).all()
        assert (rows["photos"] >= 2).all()


def test_all_are_measured_on_the_same_episodes(photos: pd.DataFrame) -> None:
    lists = photos[["dataset", "shots", "fold", "episodes", "episodes_hash"]][
        photos["class"] == "all"
    ].drop_duplicates()
    assert not lists.duplicated(["dataset", "shots", "fold"]).any()


def test_the_readme_has_the_means_of_the_rows(photos: pd.DataFrame) -> None:
    text = Path(shipped("benchmarks/baselines/README.md")).read_text(encoding="utf-8")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    told = {(cells[0].replace("`", ""), cells[1], cells[2]): cells[3:] for cells in lines if len(cells) == 8}
    folds = photos[photos["class"] == "all"]
    expected = {}
    for (dataset, method, variant, backbone, _), rows in folds.groupby(SETTING):
        name = method if variant in ("", "fss") else f"{method} ({variant})"
        by_fold = dict(zip(rows["fold"], rows["miou"], strict=True))
        cells = [f"{by_fold[fold]:.1f}" if fold in by_fold else "-" for fold in range(4)]
        network = str(backbone).removeprefix("efficientnet-") or "-"
        expected[name, network, dataset] = [*cells, f"{rows['miou'].mean():.1f}"]
    assert told == expected


@pytest.mark.parametrize("dataset", ["pascal5i", "coco20i"])
def test_the_episodes_are_drawn_again(photos: pd.DataFrame, dataset: str, shared: Path) -> None:
    opened = fssbench.open_dataset(dataset, shared / "data" / FOLDERS[dataset])
    rows = photos[(photos["dataset"] == dataset) & (photos["class"] == "all")]
    for row in rows.drop_duplicates("fold").itertuples():
        drawn = fssbench.episodes(opened, row.fold, 1, row.shots, row.protocol, row.episodes, skip_short_classes=True)
        assert drawn.hash == row.episodes_hash
        assert opened.fingerprint == row.data_fingerprint
