"""Variants of methods: the one that each task takes is tested by `make test`, those of ablation tables are long."""

from __future__ import annotations

import pytest

from fssbench.methods.catalogue import method_info

Marks = tuple[pytest.MarkDecorator, ...]


def is_further(name: str, variant: str) -> bool:
    """Return whether a variant is a further one of its task, as the rows of an ablation table are."""
    info = method_info(name)
    return variant not in {info.variant_for(task) for task in info.tasks.values()}


def marks_of(name: str, variant: str) -> Marks:
    """Return the marks of a test of all variants: what they share is held by the test of the first."""
    return (pytest.mark.long,) if is_further(name, variant) else ()
