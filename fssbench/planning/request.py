"""The options of an evaluation."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fssbench.planning.settings import Settings
from fssbench.protocols.rules import ScoreAt

if TYPE_CHECKING:
    from fssbench.results.run_reader import Existing
    from fssbench.results.shard import Cut, Shard
    from fssbench.results.until import Until


Task = Literal["fss", "fscs"]


DEVICES = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True)
class Request:
    """The options of `fssbench eval`; None where an option was not used. See `fssbench eval --help`."""

    method: str
    dataset: str
    train_dataset: str | None = None
    test_classes: str | None = None
    allow_leak: bool = False
    fold: str | None = None
    shots: int | None = None
    ways: int | None = None
    backbone: str | None = None
    variant: str | None = None
    task: Task | None = None
    protocol: str | None = None
    score_at: ScoreAt | None = None
    checkpoint: str | None = None
    backbone_weights: str | None = None
    random_weights: bool = False
    weak: bool = False
    episodes: str | None = None
    limit: int | None = None
    seed: int | None = None
    runs: int | None = None
    skip_short_classes: bool = False
    references: int | None = None
    absent: float | None = None
    labels: str | None = None
    lists: str | None = None
    part: str | None = None
    root: Path | None = None
    device: str = "auto"
    out: Path | None = None
    existing: Existing | None = None
    settings: Settings = field(default_factory=Settings)
    shard: Shard | None = None
    cut: Cut | None = None
    """How shards are cut, if they are to be cut as in an earlier run; None for as the shards in the folder are."""
    label: str | None = None
    label_backbone: str | None = None
    until: float | None = None
    together: int = 1
    """How many runs are evaluated in one pass, which `until` ends when all are narrow."""
    ended: Until | None = None
    """With `until`, how the run ended before: a replay ends there, whatever its interval."""
    leads: bool = True
    """Whether this is the first process of the run, which writes to the run folder."""

    @property
    def trained_on(self) -> str:
        """The data set that the weights were trained on; default the evaluated one."""
        return self.train_dataset or self.dataset

    @property
    def dataset_options(self) -> dict[str, str]:
        """Arguments of `open_dataset` other than the root."""
        options = {"labels": self.labels, "lists": self.lists, "part": self.part}
        return {name: value for name, value in options.items() if value is not None}
