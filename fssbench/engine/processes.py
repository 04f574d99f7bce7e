"""Several processes that evaluate one run together, as `torchrun` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from fssbench.errors import UsageError
from fssbench.results.shard import Shard

T = TypeVar("T")

BARRIER_TIMEOUT = timedelta(days=14)
"""How long a finished process waits for the others. Shards take different times; a process that dies ends the wait."""
_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True)
class Processes:
    """The processes of a run, from the point of view of one of them.

    Attributes:
        rank: Number of this process, from 0.
        size: How many processes there are.
        local_rank: Number of this process on its machine.
        local: How many processes there are on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local: int = 1

    @property
    def first(self) -> bool:
        """Whether this process prints messages, and has all rows at the end."""
        return self.rank == 0

    @property
    def shard(self) -> Shard:
        """The shard of this process."""
        return Shard(self.rank + 1, self.size)

    @property
    def launcher(self) -> tuple[str, ...]:
        """What stands before the words of the command that they run; on each machine, where there are several."""
        if self.size == 1:
            return ("fssbench",)
        machines = ("--nnodes", str(self.size // self.local)) if self.size > self.local else ()
        return ("torchrun", *machines, "--nproc-per-node", str(self.local), "-m", "fssbench")

    def device(self, name: str) -> str:
        """Return the device of this process, for the device that was requested: each process has its own card."""
        if self.size == 1 or name not in ("auto", "cuda"):
            return name
        import torch

        return f"cuda:{self.local_rank}" if torch.cuda.is_available() or name == "cuda" else "cpu"

    def wait(self) -> None:
        """Wait until every process has called this."""
        if self.size > 1:
            import torch.distributed

            torch.distributed.barrier()

    def gathered(self, value: T) -> list[T]:
        """Return the values of all processes, by their rank, when every process has called this."""
        if self.size == 1:
            return [value]
        import torch.distributed

        found: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(found, value)
        return found

    @contextmanager
    def process_group(self, device: str) -> Iterator[None]:
        """Connect the processes: by nccl if they compute on graphics cards, otherwise by gloo."""
        if self.size == 1:
            yield
            return
        import torch

        cuda = device.startswith("cuda")
        if cuda:
            torch.cuda.set_device(torch.device(device))
        torch.distributed.init_process_group("nccl" if cuda else "gloo", timeout=BARRIER_TIMEOUT)
        try:
            yield
        finally:
            torch.distributed.destroy_process_group()


ALONE = Processes()


def processes_here() -> Processes:
    """Return what torchrun's environment variables say about this process; a single process if they are not set.

    Raises:
        UsageError: If their values are impossible.
    """
    if "MASTER_ADDR" not in os.environ or "RANK" not in os.environ:
        return ALONE
    values = {name: os.environ.get(name, "") for name in _NAMES}
    try:
        found = Processes(*(int(values[name]) for name in _NAMES))
    except ValueError as error:
        listed = " ".join(f"{key}={value}" for key, value in values.items())
        raise UsageError(
            f"the environment variables of torchrun have no valid values: {listed}",
            "torchrun --nproc-per-node 2 -m fssbench eval ...",
        ) from error
    if not (0 <= found.rank < found.size and 0 <= found.local_rank < found.local <= found.size):
        raise UsageError(
            f"there is no process {found.rank} of {found.size}: torchrun's environment variables do not fit each other",
            "unset RANK WORLD_SIZE MASTER_ADDR",
        )
    return found
