"""The reuse of freed memory during an evaluation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fssbench.engine.profiling import memory
from fssbench.engine.profiling.memory import freed_memory_kept, resident

ROOT = Path(__file__).parents[3]


def new_pages(mebibytes: int = 48) -> int:
    """Make and free some tensors of a size, and return how many pages came from the system for them."""
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(mebibytes << 18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_freed_memory_is_used_again_and_given_back_afterwards():
    cpu = torch.device("cpu")
    # 48 MiB are more than glibc keeps by itself.
    with freed_memory_kept(cpu):
        new_pages()
        kept = new_pages()
    freed = new_pages()
    assert kept < freed / 5


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_threads_that_begin_meanwhile_keep_theirs_too():
    # In a process that had no other threads: what these took is there to be taken again.
    script = """
from concurrent.futures import ThreadPoolExecutor
import torch
from fssbench.engine.profiling.memory import freed_memory_kept
from tests.engine.profiling.test_memory import new_pages
with freed_memory_kept(torch.device("cpu")), ThreadPoolExecutor(1) as pool:
    print(*(pool.submit(new_pages, 40).result() for _ in range(2)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    first, again = map(int, done.stdout.split())
    assert again < first / 5


def test_a_graphics_card_has_its_own_allocator():
    with freed_memory_kept(torch.device("cuda")):
        pass


def _fragmented() -> list[torch.Tensor]:
    """Return small tensors, between which 192 MiB were freed."""
    large, small = [], []
    for _ in range(24):
        large.append(torch.ones(2 << 20))
        small.append(torch.ones(1 << 8))
    return small


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_a_process_of_too_much_memory_returns_what_was_freed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "WHOLE", resident() + (100 << 20))
    monkeypatch.setattr(memory, "_GROWN", 300 << 20)
    with freed_memory_kept(torch.device("cpu")) as settle:
        settle()
        kept = [_fragmented()]
        before = resident()
        settle()
        assert resident() < before - (150 << 20)
        # Not once more before it has grown: pages that are used again are zeroed first.
        kept.append(_fragmented())
        again = resident()
        settle()
        assert resident() > again - (20 << 20)
        assert len(kept) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_a_process_of_less_memory_keeps_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "WHOLE", resident() + (1 << 30))
    with freed_memory_kept(torch.device("cpu")) as settle:
        kept = _fragmented()
        before = resident()
        settle()
        assert resident() > before - (20 << 20)
        assert len(kept) == 24
