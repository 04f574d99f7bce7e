"""Standard output and error that a job runner has closed, or whose reader is gone: the work goes on without them."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from pathlib import Path
from typing import Any, TextIO

_GONE = {errno.EPIPE, errno.EBADF, errno.EIO, errno.ENXIO, errno.ESTALE}
"""Nobody reads any more: a pipe whose reader has left (`| head`), a terminal that was closed, a file that is gone."""


class _Stream(io.FileIO):
    """A standard stream that never stops the command which writes to it.

    Attributes:
        failure: Why what was written is not all there, though it is wanted: a full disk, for instance.
    """

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - any buffer; Python 3.11 has no name for it
        """Write bytes, or drop them where they can't be written; return how many are dealt with."""
        try:
            while (count := super().write(data)) is None:
                # A pipe that doesn't wait (as some runners make them) is full.
                select.select([], [self.fileno()], [])
        except OSError as error:
            if error.errno in _GONE:
                _to_nowhere(self.fileno())
            else:
                self.failure = self.failure or error
            return memoryview(data).nbytes
        return count


def keep_going() -> None:
    """Make standard output and error such that no command ends, or loses results, because they can't be written to.

    Called before anything else is opened: a file must not get the number of a stream that is closed.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            _to_nowhere(number)
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:  # closed when Python began
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - it stays
        elif stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            stream.flush()
            setattr(sys, name, _like(stream, line_buffering=stream.line_buffering or name == "stderr"))


def written(stream: TextIO) -> OSError | None:
    """Write what is buffered of a standard stream, and return why it is not all there; None if it is."""
    stream.flush()
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw.failure if isinstance(raw, _Stream) else None


def _like(stream: io.TextIOWrapper, *, line_buffering: bool) -> io.TextIOWrapper:
    raw = _Stream(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=line_buffering, write_through=False
    )


def _to_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere == number:
        os.set_inheritable(number, True)  # as the standard streams are
        return
    os.dup2(nowhere, number)
    os.close(nowhere)
