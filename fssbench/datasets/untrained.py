"""What data sets without training here have in common."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.datasets.dataset import Dataset, Split

if TYPE_CHECKING:
    import pandas as pd


class UntrainedDataset(Dataset):
    """A data set that is only evaluated, on one split."""

    root: Path

    @classmethod
    def seen_in_training(cls, fold: int) -> tuple[str, ...] | None:
        """Return no classes: there is no training."""
        del fold
        return ()

    @property
    @abstractmethod
    def rule(self) -> str:
        """The rule that decides labels and lists in addition to the files, for the fingerprint."""

    @cached_property
    @abstractmethod
    def _index(self) -> pd.DataFrame: ...

    @abstractmethod
    def _check_split(self, split: Split) -> None:
        """Refuse another split than the evaluated one.

        Raises:
            UsageError: Naming that one.
        """

    def index(self, split: Split) -> pd.DataFrame:
        """Return `name`, `class_id`, `pixels` of every class in every image."""
        self._check_split(split)
        return self._index.copy()
