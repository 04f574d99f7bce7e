"""Runs that a release's numbers or a baseline belong to, without evaluating anything."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fssbench.checking.baselines import COLUMNS
from fssbench.checking.measured import measured
from fssbench.episode.verify import official_hash
from fssbench.results import Run
from fssbench.results.record import FoldRecord
from fssbench.results.weights_record import Weights
from tests.tables.runs import run_of, write_run

TORCH = "2.13.0"


def released(folds: tuple[int, ...] = (0, 1, 2, 3), *, same: bool = True, shot: int = 1, episodes: int = 4) -> Run:
    """HSNet's released ResNet50 on PASCAL-5i, on its release's own episodes or on others."""
    run = run_of("hsnet", folds, dataset="pascal5i", protocol="hsnet", shot=shot, episodes=episodes)
    return with_folds(run, lambda f: replace(f, episodes_hash=_hash(f.fold, shot) if same else "z", weights=_own(f)))


def _hash(fold: int, shot: int) -> str:
    known = official_hash("hsnet", "pascal5i", fold, 1, shot)
    assert known is not None
    return known


def _own(fold: FoldRecord) -> Weights:
    return Weights("checkpoint", "1" * 64, checkpoint=f"hsnet-resnet50-pascal5i-fold{fold.fold}")


def with_folds(run: Run, change) -> Run:
    return replace(run, folds=tuple(change(fold) for fold in run.folds))


def on(run: Run, *, torch: str = TORCH, device: str = "cpu") -> Run:
    start = run.starts[0]
    environment = replace(start.environment, packages={"torch": torch}, device=device)
    return replace(run, starts=(replace(start, environment=environment),))


def measured_run(folder: Path, run: Run, iou: float = 0.5) -> Path:
    return write_run(folder, run, iou)


def cells_of(run: Run, fold: FoldRecord, numbers: Mapping[str, str]) -> dict[str, str]:
    """The cells of a baseline that belongs to a fold of a run."""
    its = {
        "method": run.method.name,
        "variant": run.method.variant or "",
        "backbone": run.method.backbone or "",
        "task": run.method.task,
        "train_dataset": run.train_dataset or "",
        "ways": str(run.way),
        "shots": str(run.shot),
        "fold": str(fold.fold),
        "protocol": run.protocol.name,
        "episodes": str(fold.episodes),
        "episodes_hash": fold.episodes_hash,
        "miou_low": "1.00",
        "miou_high": "99.00",
        "exact_ratio": "",
        "checkpoint": fold.weights.checkpoint or "",
        "checkpoint_sha256": fold.weights.sha256 or "",
        "backbone_sha256": fold.weights.backbone_sha256 or "",
        "data_fingerprint": fold.data_fingerprint,
        "torch": TORCH,
    }
    return its | dict(numbers)


def write_baselines(folder: Path, rows: list[dict[str, str]], dataset: str = "shapes20i") -> Path:
    folder.mkdir(exist_ok=True)
    with (folder / f"{dataset}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return folder


def baselines_of(folder: Path, *runs: Path) -> Path:
    """Write what finished runs of shapes20i reached as their baselines."""
    rows = []
    for one in measured(runs):
        for fold in one.folds:
            assert fold.numbers is not None
            numbers = {"miou": f"{fold.numbers.miou:.2f}", "fb_iou": f"{fold.numbers.fb_iou:.2f}"}
            torch = fold.starts[-1].environment.packages.get("torch", TORCH)
            rows.append(cells_of(one.run, fold.record, {**numbers, "torch": torch}))
    return write_baselines(folder, rows)
