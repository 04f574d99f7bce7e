"""The reuse of freed memory during an evaluation."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fssbench.engine.batch_sizes import free_unused
from fssbench.engine.profiling import memory
from fssbench.engine.profiling.memory import freed_memory_kept, resident

ROOT = Path(__file__).parents[3]


def new_pages(mebibytes: int = 48) -> int:
    """Make and free some tensors of a size, and return how many pages came from the system for them."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(mebibytes << 18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def printed(script: str) -> Iterator[int]:
    """Return the numbers that a script prints in a process of which no thread has had an arena of memory yet.

    glibc gives a thread that had to wait another arena, whose end it does not return.
    """
    script = f"""
from concurrent.futures import ThreadPoolExecutor
import torch
from fssbench.engine.profiling.memory import freed_memory_kept
from tests.engine.profiling.test_memory import new_pages
{script}"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return map(int, done.stdout.split())


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_freed_memory_is_used_again_and_given_back_afterwards():
    # 48 MiB are more than glibc keeps by itself.
    kept, freed = printed("""
with freed_memory_kept(torch.device("cpu")):
    new_pages()
    print(new_pages())
print(new_pages())
""")
    assert kept < freed / 5


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_threads_that_begin_meanwhile_keep_theirs_too():
    first, again = printed("""
with freed_memory_kept(torch.device("cpu")), ThreadPoolExecutor(1) as pool:
    print(*(pool.submit(new_pages, 40).result() for _ in range(2)))
""")
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


class _Library:
    """Notes what glibc is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def mallopt(self, parameter: int, value: int) -> None:
        self.told.append(("mallopt", parameter))

    def malloc_trim(self, kept: int) -> None:
        self.told.append(("malloc_trim", kept))


@pytest.mark.parametrize("limited", [False, True])
def test_freed_memory_is_not_kept_where_the_address_space_is_limited(
    limited: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = _Library()
    monkeypatch.setattr(memory, "_glibc", lambda: library)
    limit = 3 << 30 if limited else resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, resource.RLIM_INFINITY))
    with freed_memory_kept(torch.device("cpu")):
        assert bool(library.told) != limited


def test_where_memory_has_run_out_freed_memory_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    library = _Library()
    monkeypatch.setattr(memory, "_glibc", lambda: library)
    free_unused(torch.device("cpu"))
    assert [what for what, _ in library.told] == ["mallopt", "mallopt", "malloc_trim"]
