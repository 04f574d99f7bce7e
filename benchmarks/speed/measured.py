"""What the scripts share: the episodes that are answered, and where measurements go."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

import fssbench
from fssbench.datasets.dataset import Dataset
from fssbench.engine.order import order_of_work
from fssbench.episode import EpisodeList
from fssbench.errors import UsageError
from fssbench.planning.settings import choose_device
from fssbench.protocols.rules import Protocol, protocol

PROTOCOLS = {"hsnet": "hsnet", "asnet": "ifsl-fss", "pfenet": "pfenet", "ntrenet": "ntrenet", "bam": "bam",
             "ppnet": "panet", "rpmm": "rpmm", "mlc": "mlc", "cyctr": "cyctr",
             "sccan": "sccan", "hdmnet": "hdmnet", "ssp": "mlc", "patnet": "hsnet",
             "dcama": "dcama", "vat": "vat", "fptrans": "fptrans", "mianet": "mianet"}  # fmt: skip
"""Of each method that was released with its evaluation, the protocol of that release."""
BACKBONES = {"fptrans": "vit-b16-384"}
"""Of methods that have no ResNet-50."""
LISTS = {"panet": "hsnet"}
"""Whose episodes are taken for a protocol that evaluates on training images, of which standin.py makes none."""


def card_or_exit() -> torch.device:
    """Return the first graphics card; without one the script ends with the reason, and nothing is written."""
    try:
        return choose_device("cuda:0")
    except UsageError as error:
        sys.exit(f"nothing was measured: {error.message}")


@dataclass(frozen=True, eq=False)
class Questions:
    """Episodes of PASCAL-5i fold 0.

    Attributes:
        dataset: The opened data set.
        rules: The protocol.
        episodes: The whole list.
        order: The numbers of those to be answered, in the order of work.
    """

    dataset: Dataset
    rules: Protocol
    episodes: EpisodeList
    order: list[int]


def questions(root: Path, name: str, shots: int, count: int = 1000, answer: int | None = None) -> Questions:
    """Return a protocol's list of `count` episodes, of which the first `answer` in the order of work are asked."""
    dataset, rules = fssbench.open_dataset("pascal5i", root=root), protocol(name).on("pascal5i")
    drawn_by = protocol(LISTS.get(name, name))
    episodes = fssbench.episodes(dataset, 0, 1, shots, drawn_by.name, count, drawn_by.seed)
    return Questions(dataset, rules, episodes, order_of_work(episodes.episodes)[:answer])


def keep(row: Mapping[str, object], out: Path | None) -> None:
    """Print a row, and add it to a CSV where one is given; a new one gets its header first."""
    print("\n".join(f"{key}: {value}" for key, value in row.items()))
    if out is None:
        return
    new = not out.exists()
    with out.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
