"""Objects that have no pixel left when a label map is resized to the input size of a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import cache

import numpy as np

from fssbench.datasets.dataset import Label
from fssbench.datasets.io.images import value_counts
from fssbench.errors import UsageError
from fssbench.protocols.label_maps import input_label
from fssbench.protocols.rules import OWN_DATA, Protocol, protocol, shipped_protocols

Lost = tuple[int, tuple[int, int]]
"""A class that has no pixel left, and the (height, width) of the input."""


def lost_objects(label: Label, classes: Collection[int]) -> list[Lost]:
    """Return the classes that have a pixel in a label map (H, W), but none at the input size of some protocol."""
    here = set(np.flatnonzero(value_counts(label)).tolist()) & set(classes)
    lost = []
    for rules in _sizes():
        if max(label.shape) <= min(rules.input) // 2:
            continue  # Every pixel becomes several.
        try:
            left = np.flatnonzero(value_counts(input_label(label, rules.input, rules.resize)))
        except UsageError:
            continue  # The photo is too narrow for the network.
        lost += [(class_id, rules.input) for class_id in sorted(here - set(left.tolist()))]
    return lost


def lost_notes(found: Iterable[Lost], classes: Mapping[int, str]) -> list[str]:
    """Return a sentence for each class that is lost in some photos."""
    counts = Counter(found)
    notes = []
    for class_id in sorted({class_id for class_id, _ in counts}):
        sizes = sorted((size, number) for (other, size), number in counts.items() if other == class_id)
        sizes_text = ", ".join(f"{number} at {height} x {width}" for (height, width), number in sizes)
        notes.append(
            f"photos in which '{classes[class_id]}' ({class_id}) has no pixel left at a network's size: {sizes_text}; "
            "as supports they show no object (min_pixels in dataset.toml leaves small ones out)"
        )
    return notes


@cache
def _sizes() -> tuple[Protocol, ...]:
    """Return one protocol for each combination of input size and resize rule on own data."""
    here = [protocol(name).on(OWN_DATA) for name in shipped_protocols()]
    different = {(rules.input, rules.resize): rules for rules in here}
    return tuple(different[size] for size in sorted(different))
