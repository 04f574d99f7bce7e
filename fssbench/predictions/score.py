"""Counts planned predictions: each label map is read, checked and counted before anything is written."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fssbench.datasets.io.label_maps import LabelMaps
from fssbench.episode.files import episode_id
from fssbench.errors import BrokenFileError, UsageError
from fssbench.planning.records import dataset_record, fold_record, protocol_record
from fssbench.predictions.files import Listing, file_name, named, read_file, read_label_map
from fssbench.predictions.plan import ScorePlan
from fssbench.predictions.saved_masks import check_saved_masks
from fssbench.results.environment import start
from fssbench.results.method_record import MethodRecord
from fssbench.results.photos import mask_digest, photo_names
from fssbench.results.progress import Progress, Silent
from fssbench.results.record import Run
from fssbench.results.rows import Row
from fssbench.results.run_reader import Existing, Results
from fssbench.results.run_writer import RunFolder
from fssbench.results.scoring import LabelMap, PredictedLabels, Truth, row_of
from fssbench.results.weights_record import Weights

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Label
    from fssbench.episode import EpisodeList


def score(plan: ScorePlan, progress: Progress | None = None, command: tuple[str, ...] = ()) -> Results:
    """Count the planned predictions and return the results, which are also in the plan's folder.

    Nothing is written until all of them are counted.

    Args:
        plan: From `fssbench.predictions.plan.plan_score`.
        progress: Receives each row.
        command: The command line, for the record.

    Raises:
        BrokenFileError: If label maps are not valid, with their number and the first of them; if masks of the data set
            changed since the predictions were saved, or while they are counted.
        MissingError: If a mask of the data set is missing.
        UsageError: If the run can't be written.
    """
    shown = progress or Silent()
    counted = [_Fold(plan, one, found) for one, found in zip(plan.lists, plan.found, strict=True)]
    try:
        for fold in counted:
            fold.count(shown)
    finally:
        shown.close()
    check_saved_masks([row for fold in counted for row in fold.rows], {one.folder for one in plan.found})
    if mistakes := [mistake for fold in counted for mistake in fold.mistakes]:
        total = sum(len(listing.found) for listing in plan.found)
        raise BrokenFileError(
            f"{len(mistakes)} of {total} predictions can't be counted: {named(mistakes)}", _remedy(plan)
        )
    run = _record(plan, counted, command)
    lists = {one.fold: one for one in plan.lists}
    with RunFolder(plan.out, run, lists, plan.request.existing or Existing.REFUSE, plan.seen) as folder:
        try:
            for fold in counted:
                for row in fold.rows:
                    folder.append(row)
            return folder.finish()
        except UsageError as error:  # which says how an evaluation goes on; nothing is kept here
            folder.discard()
            raise UsageError(error.message, "make room, or give another --out; then the same command again") from error
        except BaseException:
            folder.discard()
            raise


def digest(parts: Sequence[tuple[str, str]]) -> str:
    """Return the hex sha256 of predictions.

    Args:
        parts: For each file, in the order of the episodes, its name and the hash of its contents; for presence, the id
            of the episode and a string of 1 and 0.
    """
    return hashlib.sha256("".join(f"{name} {value}\n" for name, value in parts).encode("ascii")).hexdigest()


@dataclass
class _Fold:
    """One fold that is being counted."""

    plan: ScorePlan
    episodes: EpisodeList
    found: Listing
    rows: list[Row] = field(default_factory=list)
    parts: list[tuple[str, str]] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def count(self, progress: Progress) -> None:
        """Read and count the label maps that exist."""
        plan, fold = self.plan, self.episodes.fold
        base = () if plan.protocol.base is None else plan.dataset.fold_classes(fold, "train")
        queries = {self.episodes[number].query for number in self.found.found}
        labels = LabelMaps(plan.dataset, queries, [self.episodes.split])
        progress.start(fold, len(self.found.found), [])
        for number in self.found.found:
            started = time.perf_counter()
            episode = self.episodes[number]
            label = labels.of(episode.query)
            truth = Truth.of(label, episode.classes, plan.protocol)
            try:
                predicted = self._read(number, truth.label, len(base))
            except BrokenFileError as error:
                self.mistakes.append(error.message)
                continue
            row = row_of(self.episodes, number, predicted, truth, base, plan.protocol)
            # The masks of the supports are not read: what the method made of them is in the prediction.
            unread = ("",) * (len(photo_names(episode.query, episode.supports)) - 1)
            masks = None if plan.dataset.rendered else (mask_digest(label), *unread)
            self.rows.append(replace(row, seconds=round(time.perf_counter() - started, 6), masks=masks))
            progress.advance(self.rows[-1])

    def _read(self, number: int, label: Label, base_classes: int) -> PredictedLabels:
        way, rule, name = self.episodes.way, self.plan.protocol.base, episode_id(self.episodes.fold, number)
        size = (label.shape[0], label.shape[1])
        jointly = rule is not None and rule.asked == "together"

        def read(largest: int, *, base: bool) -> LabelMap:
            file = file_name(self.episodes.fold, number, base=base)
            raw = read_file(self.found.folder / file)
            self.parts.append((file, hashlib.sha256(raw).hexdigest()))
            return read_label_map(self.found.folder / file, raw, size, largest)

        labels = read(way + base_classes if jointly else way, base=False)
        base = read(base_classes, base=True) if self.found.with_base else None
        if self.plan.presence is None:
            return PredictedLabels(labels, base, tuple(bool((labels == n).any()) for n in range(1, way + 1)))
        present = self.plan.presence[name]
        self.parts.append((name, "".join(str(int(value)) for value in present)))
        return PredictedLabels(labels, base, present)


def _remedy(plan: ScorePlan) -> str:
    rules = plan.protocol
    if rules.score_at == "original":
        return "a label map has the size of the query's photo and the value n where the n-th class is"
    size = f"{rules.input[0]} x {rules.input[1]}"
    if "original" in rules.score_sizes:
        return f"--score-at original, if they have the sizes of the photos; the protocol {rules.name} counts at {size}"
    return f"write them at {size}, the size at which the protocol {rules.name} counts"


def _record(plan: ScorePlan, counted: Sequence[_Fold], command: tuple[str, ...]) -> Run:
    first, dataset = plan.lists[0], plan.dataset
    folds = []
    for fold in counted:
        weights = Weights("predictions", digest(fold.parts), path=str(fold.found.folder.resolve()))
        record = fold_record(fold.episodes, dataset, weights, plan.protocol)
        folds.append(replace(record, unanswered=len(fold.found.missing)))
    trained_on = plan.request.train_dataset
    return Run(
        method=MethodRecord(plan.method, None, plan.request.backbone, plan.protocol.task),
        dataset=dataset_record(dataset, first.split, plan.request.dataset_options),
        protocol=protocol_record(plan.protocol),
        way=first.way,
        shot=first.shot,
        split=first.split,
        folds=tuple(folds),
        limit=None,
        starts=(start(command, None, dataset.root),),
        train_dataset=None if trained_on == dataset.name else trained_on,
        label=plan.request.label,
        label_backbone=plan.request.label_backbone,
    )
