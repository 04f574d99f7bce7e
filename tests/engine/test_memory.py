"""What becomes of freed memory while episodes are answered."""

from __future__ import annotations

import sys

import pytest
import torch

from fssbench.engine.memory import freed_memory_kept


def new_pages() -> int:
    """Make and free some tensors, and return how many pages came from the system for them."""
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(12 << 20)  # 48 MiB: more than glibc keeps by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_freed_memory_is_used_again_and_given_back_afterwards():
    cpu = torch.device("cpu")
    with freed_memory_kept(cpu):
        new_pages()
        kept = new_pages()
    freed = new_pages()
    assert kept < freed / 5


def test_a_graphics_card_has_its_own_allocator():
    with freed_memory_kept(torch.device("cuda")):
        pass
