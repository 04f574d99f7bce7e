"""A small list whose answers are in files, as somebody without fssbench would have written them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fssbench.engine.loop import rows_of
from fssbench.episode import EpisodeList, write_episodes
from fssbench.methods.base.method import Prediction
from fssbench.protocols.rules import protocol
from fssbench.results import Row
from fssbench.results.scoring import PredictedLabels
from tests.engine.stub import NearestColour, Patches, questions


class Doubtful(NearestColour):
    """Says of no picture that the first class is in it, whatever it labels."""

    def predict(self, query: Tensor, supports: Sequence[Sequence[Tensor]], size: tuple[int, int]) -> Prediction:
        said = super().predict(query, supports, size)
        return replace(said, present=said.present & torch.tensor([False, *[True] * (len(supports) - 1)]))


def listed(name: str, way: int, folder: Path, count: int = 12) -> tuple[EpisodeList, Path]:
    """Return a list of a protocol and the file it is in."""
    episodes = replace(questions(way=way, count=count), protocol=name)
    return episodes, write_episodes(episodes, folder / "list.json")


def answered_natively(episodes: EpisodeList, folder: Path, method: NearestColour, *, presence: bool) -> list[Row]:
    """Return the rows of a method, and write what it answers with Pillow alone."""
    folder.mkdir()
    document = {}

    def dump(fold: int, number: int, answered: PredictedLabels) -> None:
        name = f"fold{fold}-{number:05d}"
        Image.fromarray(answered.labels).save(folder / f"{name}.png")
        document[name] = list(answered.present)

    rules = protocol(episodes.protocol).on("shapes20i")
    numbers = range(len(episodes))
    rows = list(rows_of(method.eval(), Patches(), episodes, rules, numbers, torch.device("cpu"), dump))
    if presence:
        (folder / "presence.json").write_text(json.dumps(document))
    return rows


def empty_answers(episodes: EpisodeList, folder: Path) -> Path:
    """Write label maps of background alone, at the pictures' own size, and return their folder."""
    folder.mkdir()
    for number, episode in enumerate(episodes):
        label = Patches().label(episode.query)
        Image.fromarray(np.zeros(label.shape, dtype=np.uint8)).save(folder / f"fold0-{number:05d}.png")
    return folder


def timeless(rows: Sequence[Row]) -> list[Row]:
    """Return rows without what may differ: time, and which files were read besides the query's mask."""
    return [replace(row, seconds=0.0, masks=row.masks and row.masks[:1]) for row in rows]
