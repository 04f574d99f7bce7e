"""Commands in processes of their own, which may be killed, stopped or starved; see `tests.reliability.server`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = "fssbench.cli:main"


@dataclass(frozen=True)
class Order:
    """What a process does.

    Attributes:
        folder: Its current folder.
        arguments: The words of a command after `fssbench`, or the arguments of `call`.
        call: The function, "module:name".
        environment: Variables that are set.
        limits: Limits of the system, by name: {"RLIMIT_NOFILE": 32}.
        at: The event at which something happens, from 0; None for never.
        what: What happens then: "kill", "torn" or "full".
    """

    folder: Path
    arguments: Sequence[str]
    call: str = COMMAND
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    at: int | None = None
    what: str = "kill"


@dataclass(frozen=True)
class Ended:
    """A process that has ended: its exit code (negative for a signal), its output, and how many events it had."""

    code: int
    out: str
    err: str
    events: int


@dataclass
class Running:
    """A process that was started."""

    server: Server
    number: int
    output: Path

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.number, number)

    def wait(self) -> Ended:
        """Wait until it has ended."""
        code = int(self.server.told({"wait": self.number})["code"])
        # One that is killed at once has not opened its output.
        written = [Path(f"{self.output}.{name}") for name in ("stdout", "stderr")]
        texts = [path.read_text(errors="replace") if path.exists() else "" for path in written]
        report = Path(f"{self.output}.report")
        # A process that was killed by the clock may have been writing it.
        events = json.loads(report.read_text())["events"] if code >= 0 else -1
        for path in report.parent.glob(f"{report.stem}.*"):
            if path != report:
                path.unlink()
        return Ended(code, texts[0], texts[1], events)


class Server:
    """The process that forks the others."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._numbers = count()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY), "MKL_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=REPOSITORY,
        )

    @property
    def virtual(self) -> int:
        """The size of the address space of the server in bytes, which a process starts with; Linux alone."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()[0])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def told(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Return the reply to an order."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, order: Order) -> Running:
        """Start a process."""
        output = self._scratch / f"process{next(self._numbers)}"
        child = self.told(
            {
                "folder": str(order.folder),
                "arguments": list(order.arguments),
                "call": order.call,
                "environment": {
                    **{f"XDG_{kind}_HOME": str(order.folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")},
                    "FSSBENCH_DATA": "",
                    "NO_COLOR": "1",
                    "COLUMNS": "100",
                    **order.environment,
                },
                "limits": dict(order.limits),
                "at": order.at,
                "what": order.what,
                "output": str(output),
                "report": f"{output}.report",
            }
        )["child"]
        return Running(self, child, output)

    def run(self, order: Order) -> Ended:
        """Start a process and wait until it has ended."""
        return self.start(order).wait()

    def warm(self, *orders: Order) -> None:
        """Run processes once, and import in the server what they have imported."""
        for order in orders:
            running = self.start(order)
            ended = running.wait()
            assert ended.code == 0, ended.err
            modules = json.loads(Path(f"{running.output}.report").read_text())["modules"]
            self.told({"import": modules})

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@contextmanager
def serving() -> Iterator[Server]:
    """Start a server, and end it."""
    with tempfile.TemporaryDirectory(prefix="fssbench-reliability-") as scratch:
        server = Server(Path(scratch))
        try:
            yield server
        finally:
            server.close()


def killed_after(server: Server, order: Order, seconds: float) -> Ended:
    """Start a process, and kill it after some time if it has not ended by then."""
    running = server.start(order)
    time.sleep(seconds)
    running.signal(signal.SIGKILL)  # a process that has ended waits for its parent, so that the number is still its own
    return running.wait()
