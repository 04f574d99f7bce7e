"""Saving what a method here answers, in the form in which predictions are read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.episode.files import episode_id
from fssbench.errors import UsageError
from fssbench.files import locked_folder, remove_leftovers, replace_locked
from fssbench.predictions.files import PRESENCE, encode_png, file_name, fold_of, named, names_in
from fssbench.predictions.presence import Presence, read_presence
from fssbench.results.run_reader import Existing
from fssbench.results.scoring import PredictedLabels

if TYPE_CHECKING:
    from fssbench.results.rows import Row


class SavedPredictions:
    """A folder of predictions being written: each label map whole or not at all, the presence answers at the end.

    Args:
        folder: Where they go; it may hold predictions of other folds.
        folds: The folds that will be answered.
        existing: What to do with predictions of these folds that are there.

    Raises:
        UsageError: If there are predictions of these folds and `existing` is "refuse", or the folder can't be read.
        BrokenFileError: If the presence answers of other folds, which are kept, can't be read.
    """

    def __init__(self, folder: Path, folds: Iterable[int], existing: Existing) -> None:
        self.folder = folder
        self._existing = existing
        self._folds = frozenset(folds)
        names = names_in(folder) if folder.exists() else set()
        self._there = {name for name in names if fold_of(name) in self._folds}
        if self._there and existing is Existing.REFUSE:
            raise UsageError(
                f"{folder} holds predictions already: {named(sorted(self._there))}",
                "continue with --resume, replace them with --overwrite, or give another folder",
            )
        self._others()  # refused before anything is answered

    def begin(self, answered: Iterable[Row]) -> None:
        """Make ready: what is there of episodes that are still to be answered goes.

        Args:
            answered: The rows that the run has already.

        Raises:
            UsageError: If one of them has no label map.
        """
        kept = {file_name(row.fold, row.episode) for row in answered}
        if missing := sorted(kept - self._there):
            raise UsageError(
                f"{len(missing)} episodes of the run are answered but not saved in {self.folder}: {named(missing)}",
                "replace the run with --overwrite, or leave --save-predictions out",
            )
        kept |= {file_name(row.fold, row.episode, base=True) for row in answered}
        for name in self._there - kept:
            (self.folder / name).unlink(missing_ok=True)
        for fold in self._folds:
            remove_leftovers(self.folder, f"fold{fold}-*.png")

    def save(self, fold: int, number: int, answered: PredictedLabels) -> None:
        """Write the label maps of one answer.

        Raises:
            UsageError: If they can't be written, or another command has written some since this one looked.
        """
        name = file_name(fold, number)
        # What was there of this episode is gone since `begin`.
        if self._existing is not Existing.OVERWRITE and (self.folder / name).exists():
            raise UsageError(
                f"another command has saved {name} in {self.folder} since this one began; it stays as it is",
                "give another folder",
            )
        self._write(name, encode_png(answered.labels))
        if answered.base is not None:
            self._write(file_name(fold, number, base=True), encode_png(answered.base))

    def finish(self, rows: Iterable[Row]) -> None:
        """Write which classes each row says are there, beside what is there of other folds.

        Raises:
            UsageError: If it can't be written.
            BrokenFileError: If the presence answers of other folds can't be read any more.
        """
        mine = {episode_id(row.fold, row.episode): row.present for row in rows}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Commands for other folds add to the same file.
            with locked_folder(self.folder):
                said = {**self._others(), **mine}
                lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(said[name])}" for name in sorted(said))
                remove_leftovers(self.folder, PRESENCE[0])
                self._write(PRESENCE[0], f"{{\n{lines}\n}}\n".encode("ascii"))
        except OSError as error:
            raise UsageError(f"can't write {self.folder}: {error.strerror}", "give another folder") from error

    def _others(self) -> Presence:
        """Return the presence answers of other folds, which are kept."""
        path = self.folder / PRESENCE[0]
        said = read_presence(path) if path.exists() else {}
        return {name: its for name, its in said.items() if fold_of(name) not in self._folds}

    def _write(self, name: str, content: bytes) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # No look for leftovers with each of thousands of files.
            os.close(replace_locked(self.folder / name, content))
        except OSError as error:
            raise UsageError(f"can't write {self.folder / name}: {error.strerror}", "give another folder") from error
