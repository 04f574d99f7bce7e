"""The demo's own checkpoints and the numbers that are claimed of them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from safetensors import safe_open

import fssbench
from fssbench.checkpoints import find, load_into, locate, records
from fssbench.datasets.catalogue import list_datasets
from fssbench.files import shipped
from fssbench.methods.catalogue import method_info

FLOORS = {"all-foreground", "copy-mask", "nothing", "prototype"}
TRAINED = {
    "hsnet",
    "asnet",
    "asgnet",
    "pfenet",
    "ntrenet",
    "bam",
    "panet",
    "mmt",
    "canet",
    "cyctr",
    "dcama",
    "hdmnet",
    "mianet",
    "mlc",
    "mmnet",
    "oslsm",
    "patnet",
    "ppnet",
    "repri",
    "rpmm",
    "sccan",
    "scl",
    "ssp",
    "vat",
}
LEVEL = {"canet", "oslsm", "ppnet", "repri"}
"""With one support level with `prototype`, or below it, on some fold: heads that learn little from so few steps. The
other trained methods are above every floor on every fold."""
JOINT = {"hsnet", "asnet", "asnet-hm", "pfenet", "panet"}
"""What is trained for classification and segmentation together (FS-CS)."""
OURS = [record for record in records() if record.dataset == "shapes20i"]
FILES = [path for name in list_datasets() if (path := Path(shipped(f"benchmarks/baselines/{name}.csv"))).is_file()]


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False)


@pytest.fixture(scope="module")
def baselines() -> pd.DataFrame:
    return _read(Path(shipped("benchmarks/baselines/shapes20i.csv")))


def test_every_method_is_measured_on_every_fold(baselines: pd.DataFrame) -> None:
    evaluated = {
        (task, ways, shots): {(method, fold) for method, fold in zip(rows["method"], rows["fold"], strict=True)}
        for (task, ways, shots), rows in baselines.groupby(["task", "ways", "shots"])
    }
    folds = range(4)
    assert evaluated["fss", 1, 1] == {(method, fold) for method in TRAINED | FLOORS for fold in folds}
    assert evaluated["fss", 1, 5] >= {(method, fold) for method in {"hsnet", "asnet"} | FLOORS for fold in folds}
    for ways in (1, 2):
        assert evaluated["fscs", ways, 1] == {(method, fold) for method in JOINT | FLOORS for fold in folds}


def test_trained_methods_and_floors_on_every_fold(baselines: pd.DataFrame) -> None:
    fss = baselines[baselines["task"] == "fss"]
    default = [
        variant in ("", next(iter(method_info(method).tasks)))
        for method, variant in zip(fss["method"], fss["variant"], strict=True)
    ]
    margins = {}
    for (shots, fold), group in fss[default].groupby(["shots", "fold"]):
        miou = group.set_index("method")["miou"]
        trained = miou[miou.index.isin(TRAINED)]
        without_backbone = miou[list(FLOORS - {"prototype"})].max()
        assert trained.min() > without_backbone + 2.0, (shots, fold)
        assert trained["oslsm"] > without_backbone + 5.0, (shots, fold)
        assert trained[["hsnet", "panet"]].min() > miou[list(FLOORS)].max() + 5.0, (shots, fold)
        margins[shots, fold] = trained - miou[list(FLOORS)].max()
    least = pd.concat([margins[1, fold] for fold in range(4)], axis=1).min(axis=1)
    assert set(least[least <= 0].index) == LEVEL


def test_the_readme_has_the_means_of_the_rows(baselines: pd.DataFrame) -> None:
    text = Path(shipped("benchmarks/baselines/README.md")).read_text(encoding="utf-8")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    told = {(cells[0], cells[5], cells[6]) for cells in lines if len(cells) == 7}
    joint = {tuple(cells) for cells in lines if len(cells) == 5}
    assert len(told) == 38
    assert len(joint) == 9
    rows = baselines[baselines["task"] == "fss"]
    names = [
        f"`{method}`" if variant in ("", next(iter(method_info(method).tasks))) else f"`{method}` ({variant})"
        for method, variant in zip(rows["method"], rows["variant"], strict=True)
    ]
    for name, group in rows.groupby(names):
        mean = {shots: f"{rows_of_group['miou'].mean():.1f}" for shots, rows_of_group in group.groupby("shots")}
        assert (name, mean[1], mean.get(5, "-")) in told
    for method, group in baselines[baselines["task"] == "fscs"].groupby("method"):
        means = [
            f"{rows_of_group[what].astype(float).mean():.1f}"
            for _, rows_of_group in group.groupby("ways")
            for what in ("exact_ratio", "miou")
        ]
        assert (f"`{method}`", *means) in joint


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_numbers_belong_to_these_files_and_episodes(path: Path) -> None:
    known = {record.id: record for record in OURS}
    dataset = fssbench.open_dataset(path.stem)
    rows = _read(path)
    for row in rows.itertuples():
        assert row.data_fingerprint == dataset.fingerprint
        assert method_info(row.method).tasks[row.variant or next(iter(method_info(row.method).tasks))] == row.task
        if row.checkpoint in known:
            assert row.checkpoint_sha256 == known[row.checkpoint].sha256
            assert row.backbone_sha256 == (known[row.checkpoint].backbone_sha256 or "")
        else:
            # What is too large to ship is named by the hash of its file alone.
            assert bool(row.checkpoint_sha256) == (row.method in TRAINED | JOINT)
    lists = ["task", "ways", "shots", "fold", "protocol", "episodes"]
    evaluated = rows.drop_duplicates([*lists, "episodes_hash"])
    assert len(evaluated) == len(rows.drop_duplicates(lists)), "all methods are asked the same"
    for row in evaluated.itertuples():
        drawn = fssbench.episodes(dataset, row.fold, row.ways, row.shots, row.protocol, row.episodes)
        assert drawn.hash == row.episodes_hash


def test_the_files_are_there_and_small() -> None:
    files = {path for record in OURS for path in locate(record)}
    assert files == set(Path(shipped("fssbench/checkpoints/weights")).glob("*.safetensors"))
    assert sum(path.stat().st_size for path in files) < 18_000_000


@pytest.mark.parametrize("record", OURS, ids=lambda record: record.id)
def test_a_file_says_which_fold_it_has_not_seen(record) -> None:
    with safe_open(locate(record)[0], "pt") as opened:
        note = opened.metadata()
    assert note["network"].partition(".")[0] == (record.method or record.backbone)
    assert (note["dataset"], note["fold"]) == (record.dataset, str(record.fold))
    assert note["data_fingerprint"] == fssbench.open_dataset("shapes20i").fingerprint


def test_every_eighth_episode_of_each_fold() -> None:
    dataset = fssbench.open_dataset("shapes20i")
    reached: dict[str, list[float]] = {"hsnet": [], "prototype": []}
    for fold in range(4):
        evaluated = fssbench.episodes(dataset, fold, 1, 1, "shapes")[::8]
        for name, mious in reached.items():
            record = find(name, None, "small", "shapes20i", fold)
            method = fssbench.build(name, backbone="small", **record.options)
            load_into(method, *locate(record))
            mious.append(fssbench.evaluate(method, dataset, evaluated, protocol="shapes").summary(draws=0).miou)
    assert sum(reached["hsnet"]) / 4 > sum(reached["prototype"]) / 4 + 5.0
