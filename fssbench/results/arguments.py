"""What a record stands for on a command line."""

from __future__ import annotations

from fssbench.results.method_record import MethodRecord
from fssbench.results.record import ProtocolRecord, Run


def is_scored(run: Run) -> bool:
    """Return whether `fssbench score` has made a run, which counts all of it again instead of going on with it."""
    return any(fold.weights.kind == "predictions" for fold in run.folds)


def goes_on(run: Run) -> str:
    """Return how an unfinished run is finished, e.g. "fssbench eval ... --resume"."""
    return "fssbench score ... --overwrite" if is_scored(run) else "fssbench eval ... --resume"


def method_argument(method: MethodRecord) -> str:
    """Return the argument of --method: the name, or the file and the class of a method that is not registered."""
    if method.code is None or method.code.path is None:
        return method.name
    source, _, name = method.name.rpartition(":")
    return f"{method.code.path}:{name}" if source.endswith(".py") else method.name


def protocol_argument(protocol: ProtocolRecord) -> str:
    """Return the argument of --protocol: the name, or the file and the table of an own protocol."""
    if protocol.own is None or protocol.own.package is not None:
        return protocol.name
    table, at, size = protocol.name.rpartition(":")[2].partition("@")
    return f"{protocol.own.path}:{table}{at}{size}"
