"""Run folders as `fssbench eval` leaves them, without evaluating anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from fssbench.results import Row, Run
from fssbench.results.method_record import MethodRecord
from fssbench.results.record import DatasetRecord, Environment, FoldRecord, ProtocolRecord, Start
from fssbench.results.rows import line_of
from fssbench.results.weights_record import Weights

CLASSES = {0: (1, 2), 1: (3, 4), 2: (5, 6), 3: (7, 8)}


def run_of(
    method: str = "hsnet",
    folds: tuple[int, ...] = (0, 1, 2, 3),
    *,
    backbone: str | None = "resnet50",
    dataset: str = "shapes20i",
    protocol: str = "shapes",
    task: Literal["fss", "fscs"] = "fss",
    shot: int = 1,
    episodes: int = 4,
    lists: str = "a",
    data: str = "data",
    variant: str | None = None,
    train_dataset: str | None = None,
    test_classes: str | None = None,
    leaking: Mapping[int, tuple[str, ...] | None] | None = None,
) -> Run:
    """Return the record of a run; `lists` and `data` stand for the hashes of episode lists and data."""
    weights = Weights("checkpoint" if backbone else "none", "0" * 64 if backbone else None)
    records = tuple(
        FoldRecord(
            f,
            CLASSES[f],
            episodes,
            f"{lists}{f}",
            protocol,
            0,
            "own",
            data,
            (),
            weights,
            leaking=(leaking or {}).get(f, ()),
        )
        for f in folds
    )
    where = Environment("3.11", "Linux", {}, "cpu", "a processor", 1, None)
    return Run(
        method=MethodRecord(method, variant, backbone, task, {}, 2_573_000 if backbone else 0),
        dataset=DatasetRecord(dataset, data, "own", {} if test_classes is None else {"test_classes": test_classes}),
        protocol=ProtocolRecord(protocol, task, (192, 192), "pillow-bilinear", "original", "leave-out"),
        way=1,
        shot=shot,
        split="val",
        folds=records,
        limit=None,
        starts=(Start("2024-01-01T00:00:00+00:00", (), "0.1.0", where),),
        train_dataset=train_dataset,
    )


def write_run(folder: Path, run: Run, iou: float = 0.5, answered: int | None = None, spread: int = 10) -> Path:
    """Write a run whose classes all have the same IoU; `answered` episodes of each fold.

    Of each class the first episode has so many pixels more right, of a thousand, and the last one so many fewer.
    """
    folder.mkdir(parents=True)
    right = round(1000 * iou)
    spread = min(spread, right, 1000 - right)
    (folder / "run.json").write_bytes(TypeAdapter(Run).dump_json(run))
    rows = [
        Row(
            episode=episode,
            fold=fold.fold,
            query=f"q{episode}",
            classes=(fold.classes[episode % len(fold.classes)],),
            supports=(("s",) * run.shot,),
            intersection=(1000, right + spread * _side(episode, count, len(fold.classes))),
            union=(1000, 1000),
            present=(True,),
            truth=(episode > 0 or run.method.task == "fss",),
            seconds=0.1,
        )
        for fold in run.folds
        for count in (run.expected(fold) if answered is None else answered,)
        for episode in range(count)
    ]
    (folder / "rows.jsonl").write_text("".join(line_of(row) + "\n" for row in rows))
    return folder


def _side(episode: int, count: int, classes: int) -> int:
    """Whether an episode is the first of its class (1), the last (-1), or neither or both (0)."""
    return (episode < classes) - (episode + classes >= count)


def limited(run: Run, limit: int) -> Run:
    return replace(run, limit=limit)
