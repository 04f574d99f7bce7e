"""A process that has imported everything, and forks a child for each command: a kill costs no start of Python.

It reads a line of JSON per order from standard input, and replies with a line. A child has the faults that its order
names: it dies, or can't write, at a certain event. Events are what changes files: opening for writing, writing,
truncating, renaming, removing, locking.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.link", "fcntl.flock"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_write = os.write


class Faults:
    """Counts the events of a child, and does at one of them what it is told.

    Args:
        at: The number of the event, from 0; None only counts.
        what: "kill"; "torn" (a part is written, then it dies); "full" (from then on no byte can be written).
    """

    def __init__(self, at: int | None, what: str) -> None:
        self.at, self.what, self.events, self.on = at, what, 0, False

    def install(self) -> None:
        """Begin to count."""
        sys.addaudithook(self._audit)
        os.write = self._written
        self.on = True

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            name, _, flags = arguments
            changes = bool(flags & _WRITING) and not str(name).startswith(("/dev", "/proc"))
        else:
            changes = event in _CHANGES
        if changes:
            self._event()

    def _event(self) -> bool:
        self.events += 1
        due = self.at is not None and self.events > self.at
        if due and self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return due

    def _written(self, handle: int, content: Any) -> int:
        if not self.on or handle <= 2:
            return _write(handle, content)
        if self._event():
            if self.what == "torn":
                _write(handle, bytes(content)[: len(content) * (self.events % 7) // 7])
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return _write(handle, content)


def _child(order: dict[str, Any]) -> None:
    """Do what an order says, and leave with its exit code."""
    os.setsid()
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        path = os.devnull if name == "stdin" else f"{order['output']}.{name}"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(handle, number)
        os.close(handle)
    os.chdir(order["folder"])
    os.environ.update(order["environment"])
    for name, most in order["limits"].items():
        number = getattr(resource, name)
        resource.setrlimit(number, (most, resource.getrlimit(number)[1]))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faults = Faults(order["at"], order["what"])
    code = 70
    try:
        module, _, name = order["call"].partition(":")
        do = getattr(importlib.import_module(module), name)
        sys.argv = ["fssbench", *order["arguments"]]
        faults.install()
        do(*([] if name == "main" else order["arguments"]))
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        faults.on = False
        for name in order["limits"]:
            number = getattr(resource, name)
            resource.setrlimit(number, (resource.getrlimit(number)[1],) * 2)
        sys.stdout.flush()
        sys.stderr.flush()
        if order["report"]:
            known = sorted(name for name in sys.modules if "." in name or name.isidentifier())
            Path(order["report"]).write_text(json.dumps({"events": faults.events, "modules": known}))
        os._exit(code)


def _import(modules: list[str]) -> None:
    import torch

    torch.set_num_threads(1)
    for name in modules:
        if not name.startswith(("__", "tests.reliability.server")) and name not in sys.modules:
            try:
                importlib.import_module(name)
            except Exception:
                continue


def serve() -> None:
    """Serve until standard input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        if "import" in order:
            _import(order["import"])
            reply = {}
        elif "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            reply = {"code": os.waitstatus_to_exitcode(status)}
        else:
            child = os.fork()
            if child == 0:
                _child(order)
            reply = {"child": child}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
