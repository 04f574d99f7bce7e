"""Several processes that evaluate one run together, as `torchrun` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from fssbench.errors import UsageError
from fssbench.results.shard import Shard

PATIENCE = timedelta(days=14)
"""How long a process that is done waits for the others: shares differ, and a dead process ends the wait."""
_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them.

    Attributes:
        rank: Its number, from 0.
        size: How many there are.
        local_rank: Its number on its machine.
        local: How many there are on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local: int = 1

    @property
    def first(self) -> bool:
        """Whether it is the one that speaks, and has all rows in the end."""
        return self.rank == 0

    @property
    def share(self) -> Shard:
        """Its share of the work."""
        return Shard(self.rank + 1, self.size)

    def device(self, name: str) -> str:
        """Return the device that it computes on, of the one that was asked for: each process its own card."""
        if self.size == 1 or name not in ("auto", "cuda"):
            return name
        import torch

        return f"cuda:{self.local_rank}" if torch.cuda.is_available() or name == "cuda" else "cpu"

    def wait(self) -> None:
        """Wait until every process has come here."""
        if self.size > 1:
            import torch.distributed

            torch.distributed.barrier()

    @contextmanager
    def joined(self, device: str) -> Iterator[None]:
        """Meet the other processes: by nccl where they compute on graphics cards, else by gloo."""
        if self.size == 1:
            yield
            return
        import torch

        cuda = device.startswith("cuda")
        if cuda:
            torch.cuda.set_device(torch.device(device))
        torch.distributed.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
        try:
            yield
        finally:
            torch.distributed.destroy_process_group()


ALONE = Processes()


def processes_here() -> Processes:
    """Return what torchrun says of this process in the environment; one process alone where it says nothing.

    Raises:
        UsageError: If it says what can't be.
    """
    if "MASTER_ADDR" not in os.environ or "RANK" not in os.environ:
        return ALONE
    said = {name: os.environ.get(name, "") for name in _NAMES}
    try:
        found = Processes(*(int(said[name]) for name in _NAMES))
    except ValueError as error:
        listed = " ".join(f"{key}={value}" for key, value in said.items())
        raise UsageError(
            f"the environment names processes that can't be: {listed}",
            "torchrun --nproc-per-node 2 -m fssbench eval ...",
        ) from error
    if not (0 <= found.rank < found.size and 0 <= found.local_rank < found.local <= found.size):
        raise UsageError(f"process {found.rank} of {found.size} can't be", "unset RANK WORLD_SIZE MASTER_ADDR")
    return found
