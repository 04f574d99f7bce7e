"""Saved predictions counted again by other rules; no method runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fssbench.datasets.io.label_maps import LabelMaps
from fssbench.errors import BrokenFileError
from fssbench.explaining.rules import rules_of
from fssbench.label_values import IGNORE
from fssbench.planning.replay import recorded_root
from fssbench.predictions.files import file_name, read_file, read_label_map
from fssbench.protocols.label_maps import input_label, nearest_label
from fssbench.protocols.transforms import padded_shape
from fssbench.results.derived import frame_of_run
from fssbench.results.rows import Row
from fssbench.results.scoring import LabelMap, PredictedLabels, Truth, row_of

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.datasets.dataset import Dataset
    from fssbench.episode import EpisodeList
    from fssbench.protocols.choices import Protocol
    from fssbench.results import Results


def predictions_of(results: Results) -> Path | None:
    """Return the folder of a run's predictions, as its record names it; None if it names none that is there."""
    run = results.run
    named = [fold.weights.path for fold in run.folds if fold.weights.kind == "predictions" and fold.weights.path]
    for start in run.starts:
        words = list(start.command)
        named += [after for word, after in pairwise(words) if word == "--save-predictions"]
        named += [word.partition("=")[2] for word in words if word.startswith("--save-predictions=")]
    return next((Path(one) for one in reversed(named) if Path(one).is_dir()), None)


class Rescorer:
    """The saved predictions of one run.

    Args:
        results: The run.
        folder: The folder of its predictions; {fold} in its name stands for the fold.
        frame: The rows whose predictions are counted.
        root: Folder of the data; default the recorded one.

    Raises:
        MissingError: If the data or a list are missing.
        BrokenFileError: If a prediction is missing or broken, or they are not those that the rows were counted from.
    """

    def __init__(self, results: Results, folder: Path, frame: pd.DataFrame, root: Path | None = None) -> None:
        from fssbench.datasets import open_dataset
        from fssbench.episode import read_episodes

        run = results.run
        options = {name: str(value) for name, value in run.dataset.options.items() if name != "test_classes"}
        self._results, self._folder, self._frame = results, folder, frame
        self._rules = rules_of(run)
        self._dataset: Dataset = open_dataset(run.dataset.name, root or recorded_root(run), **options)
        where = results.folder or Path()
        self._lists: dict[int, EpisodeList] = {
            fold: read_episodes(where / f"episodes-fold{fold}.json") for fold in sorted(set(frame["fold"]))
        }
        again = self.frame(self._rules)
        columns = ["intersection", "union"]
        if [tuple(row) for row in again[columns].to_numpy()] != [tuple(row) for row in frame[columns].to_numpy()]:
            raise BrokenFileError(f"the predictions in {folder} are not those of {results.folder}: their counts differ")

    def frame(self, rules: Protocol) -> pd.DataFrame:
        """Return the rows of the predictions, counted by other rules.

        A label map is brought to another size by nearest neighbour. The method itself would bring its scores there.
        """
        rows: list[Row] = []
        for fold, episodes in self._lists.items():
            part = self._frame[self._frame["fold"] == fold]
            labels = LabelMaps(self._dataset, set(part["query"]), [episodes.split])
            for number, present, of_supports in self._numbers(part):
                episode = episodes[number]
                original = labels.of(episode.query)
                read = self._read(
                    fold, number, Truth.of(original, episode.classes, self._rules).label.shape, len(episode.classes)
                )
                shape = (original.shape[0], original.shape[1])
                predicted = PredictedLabels(at_size(read, shape, self._rules, rules.score_at), None, present)
                row = row_of(episodes, number, predicted, Truth.of(original, episode.classes, rules), (), rules)
                rows.append(replace(row, lost_supports=of_supports))
        return frame_of_run(rows, self._results.run)

    def _numbers(self, part: pd.DataFrame) -> Sequence[tuple[int, tuple[bool, ...], tuple[int, ...] | None]]:
        lost = part["lost_supports"] if "lost_supports" in part.columns else [None] * len(part)
        return [
            (int(number), present, one if isinstance(one, tuple) else None)
            for number, present, one in zip(part["episode"], part["present"], lost, strict=True)
        ]

    def _read(self, fold: int, number: int, size: tuple[int, ...], largest: int) -> LabelMap:
        path = Path(str(self._folder).replace("{fold}", str(fold))) / file_name(fold, number)
        return read_label_map(path, read_file(path), (size[0], size[1]), largest)


def at_size(labels: LabelMap, shape: tuple[int, int], rules: Protocol, score_at: str) -> LabelMap:
    """Return a predicted label map at the other size at which pixels can be counted, by nearest neighbour.

    Args:
        labels: uint8, at the size at which `rules` count.
        shape: (height, width) of the photo.
        rules: The rules by which it was predicted.
        score_at: "input" or "original".
    """
    if score_at == rules.score_at or rules.resize == "none":
        return labels
    if score_at == "original":
        if rules.resize == "opencv-pad":
            height, width = padded_shape(shape, rules.input)
            labels = labels[:height, :width]
        return np.asarray(nearest_label(labels, shape), dtype=np.uint8)
    if rules.resize == "opencv-pad-squeezed":
        return np.asarray(nearest_label(labels, rules.input), dtype=np.uint8)
    resized = input_label(labels, rules.input, rules.resize)
    return np.where(resized == IGNORE, 0, resized).astype(np.uint8)  # padding, where nothing was predicted
