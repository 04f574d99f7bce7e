"""Writing run folders. Further processes of the same run write into them by `fssbench.results.part_writer`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.files import remove_leftovers
from fssbench.results.arguments import is_scored
from fssbench.results.continues import check_continues
from fssbench.results.derived import frame_of_run
from fssbench.results.folder_state import Seen, check_folder, holds_rows, seen
from fssbench.results.lost import lost_in
from fssbench.results.photos import check_mask_digests, check_photo_digests
from fssbench.results.record import Run
from fssbench.results.row_writer import RowWriter
from fssbench.results.rows import Row, read_rows
from fssbench.results.run_reader import (
    LISTS,
    PARTS,
    ROWS,
    RUN,
    SUMMARY,
    Existing,
    Results,
    check_rows,
    schema,
    write_atomically,
)
from fssbench.results.sound_rows import describe_damage, read_sound_rows
from fssbench.results.studies import studies_record
from fssbench.results.summary import caveats_of_list, caveats_of_protocol, summary_record

if TYPE_CHECKING:
    from fssbench.episode import EpisodeList

_LOG = logging.getLogger(__name__)


class RunFolder:
    """Writes a run. Nothing is written before the first row.

    Args:
        path: The folder.
        run: The record of the run.
        lists: The episode list of each fold.
        existing: What to do if there is a run already.
        seen: The result of `check_folder` when the command began; default: its result now.

    Attributes:
        rows: The rows of the run, including those that a continued run had already.

    Raises:
        UsageError: If there is a run and `existing` is "refuse", or the run to be continued differs from `run`.
        BrokenFileError: If the run to be continued is damaged.
    """

    def __init__(
        self, path: Path, run: Run, lists: Mapping[int, EpisodeList], existing: Existing, seen: Seen | None = None
    ) -> None:
        self.path = path
        self.run = run
        self.rows: list[Row] = []
        self._lists = lists
        self._existing = existing
        self._writer: RowWriter | None = None
        self._started = False
        seen_now = check_folder(path, existing)
        self._seen = seen or seen_now
        if existing is Existing.RESUME and (path / RUN).exists():
            try:
                self._continue()
            except BaseException:
                self.close()
                raise

    def append(self, row: Row) -> None:
        """Write a row. Before the first one, write run.json and the episode lists.

        Raises:
            UsageError: If another command has written a run there in the meantime, or the row can't be written.
        """
        self.begin().append(row)
        self.rows.append(row)

    def begin(self) -> RowWriter:
        """Write run.json and the episode lists, unless that is done already, and return the writer of the rows."""
        return self._writer if self._started and self._writer else self._start()

    def describe(self, run: Run) -> None:
        """Replace the record of a run that has rows, e.g. by one with a further look (`fssbench.results.until`)."""
        self.run = run
        if self._writer is not None:
            write_atomically(self.path / RUN, _record_of(run))

    def close(self) -> None:
        """Close the files; their content stays."""
        if self._writer is not None:
            self._writer.close()

    def discard(self) -> None:
        """Remove all files of this run, and the folder if it is then empty."""
        self.close()
        if self._writer is not None:
            files = (SUMMARY, ROWS, RUN, LISTS, PARTS)
            for old in (path for name in files for path in self.path.glob(name)):
                old.unlink(missing_ok=True)
            if not any(self.path.iterdir()):
                with suppress(OSError):  # the current folder can't be removed
                    self.path.rmdir()

    def finish(self) -> Results:
        """Gather all rows. If none is missing, sort them in the order of the lists and write summary.json.

        Raises:
            BrokenFileError: If two rows were computed from different photos or masks of the same name: a file was
                replaced during the run, and each process, or each start, has read another one.
        """
        self._gather()
        check_photo_digests(self.rows, self.path)
        check_mask_digests(self.rows, self.path)
        for name in (RUN, ROWS, SUMMARY, LISTS):
            remove_leftovers(self.path, name)
        results = Results(frame_of_run(self.rows, self.run), self.run, self.path)
        if self.rows and not results.missing:
            lost = lost_in(results.frame, self.run.protocol.task, absent=self.run.has_absent)
            rule = [] if self.run.until is None else [self.run.until.describe()]
            notes = [*rule, *caveats_of_list(self.run), *caveats_of_protocol(self.run)]
            record = summary_record(results.summary(), lost, notes, studies_record(results))
            write_atomically(self.path / SUMMARY, json.dumps(record, indent=1) + "\n")
            ordered = sorted(self.rows, key=lambda row: (row.fold, row.episode))
            if ordered != self.rows and self._writer is not None:
                self.rows = ordered
                self._writer.rewrite(ordered)
        return results

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _continue(self) -> None:
        stored = check_continues(self.path, self.run)
        parameters = self.run.method.learnable_parameters or stored.method.learnable_parameters
        self.run = replace(
            self.run,
            method=replace(self.run.method, learnable_parameters=parameters),
            starts=stored.starts + self.run.starts,
            label=self.run.label or stored.label,
            label_backbone=self.run.label_backbone or stored.label_backbone,
            predictions=self.run.predictions or stored.predictions,
            until=None if self.run.until is None else self.run.until.continued(stored.until),
        )
        # Lock before reading: another run must not write in between.
        self._writer = RowWriter(self.path / ROWS)
        self.rows, bad = read_sound_rows(self.path / ROWS)
        check_rows(self.rows, stored, self.path / ROWS)
        if bad:
            _LOG.warning("%s", describe_damage(self.path / ROWS, len(self.rows), bad))
            (self.path / SUMMARY).unlink(missing_ok=True)  # it includes rows that are lost
            self._writer.rewrite(self.rows)
        self._gather(damaged=True)
        self._mend_lists()
        for row in self.rows:
            episode = self._lists[row.fold][row.episode]
            if (row.query, row.classes, row.supports) != (episode.query, episode.classes, episode.supports):
                raise BrokenFileError(
                    f"{self.path / ROWS}: fold {row.fold}, episode {row.episode} is not the list's episode",
                    "start the run again with --overwrite",
                )
            if self.run.limit is not None and row.episode >= self.run.limit:
                raise UsageError(
                    f"the run in {self.path} holds fold {row.fold}, episode {row.episode}, "
                    f"which --limit {self.run.limit} leaves out",
                    "leave --limit out, or give another --out",
                )

    def _mend_lists(self) -> None:
        """Write the list again if its file is missing or has another list; the record has the hash of the list."""
        from fssbench.episode import read_episodes, write_episodes

        for fold, episodes in self._lists.items():
            path = self.path / f"episodes-fold{fold}.json"
            try:
                if read_episodes(path).hash == episodes.hash:
                    continue
                fault = "is not the list of the run"
            except MissingError:
                fault = "is missing"
            except BrokenFileError:
                fault = "can't be read"
            write_episodes(episodes, path)
            _LOG.warning("%s %s: it is written again", path, fault)

    def _gather(self, *, damaged: bool = False) -> None:
        """Append the rows of the other processes to the file of this process, and remove their files.

        Args:
            damaged: Whether damaged lines are skipped with a warning instead of refused.
        """
        parts = sorted(self.path.glob(PARTS))
        if not parts or self._writer is None:
            return
        have = {(row.fold, row.episode) for row in self.rows}
        for path in parts:
            for row in self._part(path, damaged):
                if (row.fold, row.episode) not in have:
                    self._writer.append(row)
                    self.rows.append(row)
                    have.add((row.fold, row.episode))
        for path in parts:
            path.unlink()

    def _part(self, path: Path, damaged: bool) -> list[Row]:
        rows, bad = read_sound_rows(path) if damaged else (read_rows(path), [])
        check_rows(rows, self.run, path)
        if bad:
            _LOG.warning("%s", describe_damage(path, len(rows), bad))
        return rows

    def _start(self) -> RowWriter:
        from fssbench.episode import write_episodes

        if self._writer is None:
            self._writer = self._claim()
        (self.path / SUMMARY).unlink(missing_ok=True)
        if not self.rows:
            # Remove the rows first, so that there are never rows without their run.json.
            self._writer.clear()
            for old in (*self.path.glob(PARTS), self.path / RUN, *self.path.glob(LISTS)):
                old.unlink(missing_ok=True)
        for fold, episodes in self._lists.items():
            write_episodes(episodes, self.path / f"episodes-fold{fold}.json")
        write_atomically(self.path / RUN, _record_of(self.run))
        self._started = True
        return self._writer

    def _claim(self) -> RowWriter:
        """Lock the folder, and check again whether another command has written a run in the meantime."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"can't make {self.path}: {error.strerror}", "give another --out") from error
        writer = RowWriter(self.path / ROWS)
        if self._existing is Existing.OVERWRITE:
            written = seen(self.path) != self._seen  # only the run that was there at the start may be replaced
        else:
            written = (self.path / RUN).exists() or holds_rows(self.path)
        if written:
            writer.close()
            raise UsageError(
                f"another command has written a run to {self.path} since this one began; it stays as it is",
                f"{'' if is_scored(self.run) else 'continue it with --resume, '}replace it with --overwrite, or give "
                "another --out",
            )
        return writer


def _record_of(run: Run) -> str:
    """Return run.json; keys that only some runs have are left out of others, so that earlier versions read these."""
    unset: dict[str, Any] = {} if run.until else {"until": True}
    if run.cut == "order":
        unset["cut"] = True
    rules = {"own": run.protocol.own is None, "query_rim": run.protocol.query_rim == "hidden"}
    if usual := {name for name, is_usual in rules.items() if is_usual}:
        unset["protocol"] = usual
    of_start = {name for name in ("batches", "computed") if not any(getattr(start, name) for start in run.starts)}
    if of_start:
        unset["starts"] = {"__all__": of_start}
    of_method: dict[str, Any] = {} if run.method.ledger else {"ledger": True}
    if run.method.code is not None and not run.method.code.imports:
        of_method["code"] = {"imports"}
    if of_method:
        unset["method"] = of_method
    of_fold: dict[str, Any] = {}
    if all(fold.weights.trained is None for fold in run.folds):
        of_fold["weights"] = {"trained"}
    if run.references is None and not run.has_absent:
        of_fold |= dict.fromkeys(("references", "absent", "base_hash"), True)
    if run.cut == "order":
        of_fold["in_shard"] = True
    if of_fold:
        unset["folds"] = {"__all__": of_fold}
    return schema().dump_json(run, indent=1, exclude=unset).decode() + "\n"
