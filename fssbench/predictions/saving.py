"""Saves the predictions of a method as files that `fssbench score` reads."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.episode.files import episode_id
from fssbench.errors import UsageError
from fssbench.files import locked_folder, remove_leftovers, replace_locked
from fssbench.predictions.files import MASKS, PRESENCE, encode_png, file_name, fold_of, named, names_in
from fssbench.predictions.presence import Presence, read_presence
from fssbench.predictions.saved_masks import masks_of, read_masks
from fssbench.results.run_reader import Existing
from fssbench.results.scoring import PredictedLabels

if TYPE_CHECKING:
    from fssbench.results.rows import Row


class SavedPredictions:
    """A folder to which predictions are written: each label map atomically, the presence file at the end.

    Args:
        folder: The folder; it may hold predictions of other folds.
        folds: The folds that will be evaluated.
        existing: What to do with predictions of these folds that exist.

    Raises:
        UsageError: If there are predictions of these folds and `existing` is "refuse", or the folder can't be read.
        BrokenFileError: If the presence file, whose entries of other folds are kept, can't be read.
    """

    def __init__(self, folder: Path, folds: Iterable[int], existing: Existing) -> None:
        self.folder = folder
        self._existing = existing
        self._folds = frozenset(folds)
        names = names_in(folder) if folder.exists() else set()
        self._existing_names = {name for name in names if fold_of(name) in self._folds}
        if self._existing_names and existing is Existing.REFUSE:
            raise UsageError(
                f"{folder} holds predictions already: {named(sorted(self._existing_names))}",
                "continue with --resume, replace them with --overwrite, or name another folder",
            )
        self._others(), self._other_masks()  # raise an error before anything is predicted

    def begin(self, rows: Iterable[Row]) -> None:
        """Remove label maps of episodes that have no row yet, and leftovers of interrupted writes.

        Args:
            rows: The rows that the run already has.

        Raises:
            UsageError: If the label map of a row is missing.
        """
        kept = {file_name(row.fold, row.episode) for row in rows}
        if missing := sorted(kept - self._existing_names):
            raise UsageError(
                f"{len(missing)} episodes of the run are evaluated but not saved in {self.folder}: {named(missing)}",
                "replace the run with --overwrite, or leave --save-predictions out",
            )
        kept |= {file_name(row.fold, row.episode, base=True) for row in rows}
        for name in self._existing_names - kept:
            (self.folder / name).unlink(missing_ok=True)
        for fold in self._folds:
            remove_leftovers(self.folder, f"fold{fold}-*.png")

    def save(self, fold: int, number: int, predicted: PredictedLabels) -> None:
        """Write the label maps of one episode.

        Raises:
            UsageError: If they can't be written, or another command has written some since this one began.
        """
        name = file_name(fold, number)
        # `begin` has removed earlier files of this episode.
        if self._existing is not Existing.OVERWRITE and (self.folder / name).exists():
            raise UsageError(
                f"another command has saved {name} in {self.folder} since this one began; it stays as it is",
                "name another folder",
            )
        self._write(name, encode_png(predicted.labels))
        if predicted.base is not None:
            self._write(file_name(fold, number, base=True), encode_png(predicted.base))

    def finish(self, rows: Iterable[Row]) -> None:
        """Write the presence file and that of the masks: what each row has of them, and the entries of other folds.

        Raises:
            UsageError: If it can't be written.
            BrokenFileError: If the entries of other folds can't be read any more.
        """
        rows = list(rows)
        own = {episode_id(row.fold, row.episode): row.present for row in rows}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Commands for other folds write to the same file.
            with locked_folder(self.folder):
                self._write_entries(PRESENCE[0], {**self._others(), **own})
                masks = {name: digest for name, digest in self._other_masks().items() if name not in own}
                masks |= masks_of(rows)
                if masks or (self.folder / MASKS).exists():
                    self._write_entries(MASKS, masks)
        except OSError as error:
            raise UsageError(f"can't write {self.folder}: {error.strerror}", "name another folder") from error

    def _others(self) -> Presence:
        """Return the presence of other folds' episodes, which is kept."""
        path = self.folder / PRESENCE[0]
        presence = read_presence(path) if path.exists() else {}
        return {name: present for name, present in presence.items() if fold_of(name) not in self._folds}

    def _other_masks(self) -> dict[str, str]:
        return {name: digest for name, digest in read_masks(self.folder).items() if fold_of(name) not in self._folds}

    def _write_entries(self, name: str, entries: Mapping[str, object]) -> None:
        """Write a JSON object, an entry a line, sorted by name."""
        lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(entries[key])}" for key in sorted(entries))
        remove_leftovers(self.folder, name)
        self._write(name, f"{{\n{lines}\n}}\n".encode("ascii"))

    def _write(self, name: str, content: bytes) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Leftovers are not searched for at each of thousands of files.
            os.close(replace_locked(self.folder / name, content))
        except OSError as error:
            raise UsageError(f"can't write {self.folder / name}: {error.strerror}", "name another folder") from error
