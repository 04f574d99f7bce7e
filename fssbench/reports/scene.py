"""The data that runs were evaluated on, opened again: needed for what masks and photos show, not for the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fssbench.datasets import open_dataset
from fssbench.datasets.transfer.view import transfer_view
from fssbench.errors import FSSBenchError, UsageError
from fssbench.files import file_size
from fssbench.planning.replay import recorded_root
from fssbench.protocols.own import protocol_of_record
from fssbench.protocols.rules import Protocol
from fssbench.protocols.rules import protocol as protocol_of
from fssbench.results.photos import digests_of, mask_digest, photo_digest, photo_names
from fssbench.results.scoring import Truth

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset, Label
    from fssbench.results import Run
    from fssbench.results.rows import Row


_COUNTING = ("input", "resize", "score_at", "ignore", "base", "absent")


@dataclass(frozen=True, eq=False)
class Scene:
    """The data set and the rules of counting of a run.

    Attributes:
        dataset: The opened data set, with the folds of the run.
        rules: The protocol on that data set.
    """

    dataset: Dataset
    rules: Protocol

    @cached_property
    def class_names(self) -> dict[int, str]:
        """The name of each class by its label value."""
        return dict(self.dataset.class_names)

    def truth(self, row: Row, label: Label | None = None) -> Truth:
        """Return the label map that the pixels of an episode are counted on.

        Args:
            row: The episode.
            label: The label map of its query, if it has been read.
        """
        label = self.label(row) if label is None else label
        return Truth.of(label, row.classes, self.rules)

    def label(self, row: Row) -> Label:
        """Return the label map of a query, (H, W) as in the data set.

        Raises:
            UsageError: If it is not the one from which the row was computed.
            MissingError: If the mask does not exist.
            BrokenFileError: If it can't be read.
        """
        label = self.dataset.label(row.query)
        if dict(digests_of([row], "masks")).get(row.query, found := mask_digest(label)) != found:
            raise UsageError(
                f"the mask of {row.query} has changed since the run", "--root the folder of the data that was evaluated"
            )
        return label

    def base_classes(self, fold: int) -> tuple[int, ...]:
        """Return the base classes of a fold, if the protocol counts them."""
        return () if self.rules.base is None else self.dataset.fold_classes(fold, "train")

    def photo_fault(self, row: Row) -> str:
        """Return why the photos or masks of an episode are not those of the run; empty if they are."""
        names = photo_names(row.query, row.supports)
        digests = row.photos or (None,) * len(names)
        for name, before in zip(names, digests, strict=True):
            path = self.dataset.photo_path(name)
            try:
                if path is not None:
                    file_size(path)
                    if before is not None and photo_digest(path) != before:
                        return f"the photo {name} has changed since the run"
            except (FSSBenchError, OSError):
                return f"the photo {name} is not here"
        for name, known in dict(digests_of([row], "masks")).items():
            try:
                if mask_digest(self.dataset.label(name)) != known:
                    return f"the mask of {name} has changed since the run"
            except (FSSBenchError, OSError):
                return f"the mask of {name} is not here"
        return ""


def open_scene(run: Run, root: Path | None = None) -> Scene:
    """Open the data of a run.

    Args:
        run: The record of the run.
        root: Folder of the data; default that of the run, or else the one of the configuration.

    Raises:
        MissingError: If the data is not there.
        UsageError: If the data set or the protocol is unknown, or the data is not that of the run.
        BrokenFileError: If the data can't be read.
    """
    options: dict[str, Any] = dict(run.dataset.options)
    choice = options.pop("test_classes", None)
    dataset = open_dataset(run.dataset.name, root or recorded_root(run), **options)
    dataset = transfer_view(dataset, run.train_dataset or run.dataset.name, None if choice is None else str(choice))
    dataset = dataset.for_shots(run.shot)
    if dataset.split_fingerprint(run.split) != run.dataset.fingerprint:
        raise UsageError(
            f"the masks or lists of {run.dataset.name} are others than those of the run (fingerprint "
            f"{dataset.split_fingerprint(run.split)[:12]}, not {run.dataset.fingerprint[:12]})",
            "--root the folder of the data that was evaluated",
        )
    return Scene(dataset, rules_of(run))


def rules_of(run: Run) -> Protocol:
    """Return the rules that a run was counted by.

    Raises:
        UsageError: If this version has no such protocol, or its rules have changed.
        BrokenFileError: If the record of an own protocol is damaged.
    """
    record = run.protocol
    if record.own is None:
        named = protocol_of(record.name)
    else:
        named = protocol_of_record(record.name, record.own)
        named = named.at(record.score_at) if "@" in record.name else named
    rules = named.on(run.dataset.name)
    if any(getattr(rules, name) != getattr(record, name) for name in _COUNTING):
        raise UsageError(f"the protocol {record.name} has changed since the run: its pixels can't be counted again")
    return rules


def recorded_names(run: Run) -> dict[int, str]:
    """Return the names of the classes as the record of a run has them; runs of earlier versions have none."""
    return {value: name for fold in run.folds for value, name in run.class_names(fold.fold).items()}
