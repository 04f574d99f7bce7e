"""The image lists that the sampler of a protocol draws from."""

from __future__ import annotations

from fssbench.datasets.dataset import Dataset, Split
from fssbench.episode.samplers import sampler
from fssbench.episode.samplers.lists import ImageLists, area_rule, read_lists
from fssbench.errors import MissingError
from fssbench.protocols.rules import Protocol

OWN_LISTS = "--protocol hsnet, which uses the data set's own lists"


def lists_of(dataset: Dataset, fold: int, split: Split, protocol: Protocol) -> ImageLists:
    """Return the lists that a protocol draws from.

    Raises:
        MissingError: If they are empty.
    """
    # A protocol that takes its queries from the training images (PANet) uses their novel classes.
    classes = dataset.fold_classes(fold, "val" if split == protocol.split == "train" else split)
    rule = sampler(protocol.sampler).lists
    lists = read_lists(dataset, fold, split, classes, rule)
    if not lists.entries:
        reason = area_rule(rule, dataset, split, classes)
        raise MissingError(
            f"{dataset.name} fold {fold} lists no {split} image{f': {reason}' if reason else ''}",
            OWN_LISTS if reason else dataset.check_command,
        )
    return lists
