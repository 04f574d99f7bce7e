"""The counting rules of a run, whole, and with one choice of another run; as a protocol's file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import FSSBenchError
from fssbench.protocols.choices import Protocol
from fssbench.protocols.own import protocol_of_record
from fssbench.protocols.rules import protocol

if TYPE_CHECKING:
    from fssbench.explaining.causes import Key
    from fssbench.results.record import ProtocolRecord, Run

RULES: tuple[Key, ...] = ("input", "scored", "ignore", "absent", "rim", "base")
"""The choices that are a protocol's."""


def rules_of(run: Run) -> Protocol:
    """Return the rules that a run was counted by, on its data set.

    What a record does not hold (which pixels of a support are of another class) is that of the protocol of its name.
    """
    record = run.protocol
    known = _known(run)
    return replace(
        known,
        name=record.name,
        task=run.method.task,
        input=record.input,
        resize=record.resize,  # type: ignore[arg-type]
        score_at=record.score_at,
        score_sizes=("input", "original"),
        ignore=record.ignore,
        absent=record.absent,
        base=record.base,
        query_rim=record.query_rim,
        split=run.split,
        way=(run.way, run.way),
        datasets=(run.dataset.name,),
        overrides={},
        default_for=(),
        seeds=(0,),
        backbone=None,
        caveat="",
        own=None,
    )


def _known(run: Run) -> Protocol:
    record = run.protocol
    try:
        if record.own is not None:
            return protocol_of_record(record.name, record.own)
        return protocol(record.name)
    except FSSBenchError:
        return protocol("hsnet")  # of another version: all that matters is in the record


def with_choice(rules: Protocol, key: Key, other: ProtocolRecord) -> Protocol:
    """Return rules with one choice of another run."""
    changes: dict[Key, dict[str, object]] = {
        "input": {"input": other.input, "resize": other.resize},
        "scored": {"score_at": other.score_at},
        "ignore": {"ignore": other.ignore},
        "absent": {"absent": other.absent},
        "rim": {"query_rim": other.query_rim},
        "base": {"base": other.base},
    }
    return replace(rules, **changes.get(key, {}))  # type: ignore[arg-type]


def write_rules(path: Path, tables: dict[str, Protocol]) -> None:
    """Write rules as a protocol's file, which `fssbench eval --protocol FILE:TABLE` reads.

    Raises:
        UsageError: If it can't be written.
    """
    from fssbench.results.run_reader import write_atomically

    write_atomically(path, "\n".join(_table(name, rules) for name, rules in tables.items()))


def _table(name: str, rules: Protocol) -> str:
    fields: dict[str, object] = {
        "title": f"One choice changed, to see what it is worth: {rules.title}"[:300],
        "source": rules.source,
        "task": rules.task,
        "sampler": rules.sampler,
        "seeds": [0],
        "episodes": rules.episodes,
        "split": rules.split,
        "input": list(rules.input),
        "resize": rules.resize,
        "score_at": rules.score_at,
        "score_sizes": list(rules.score_sizes),
        "ignore": rules.ignore,
        "absent": rules.absent,
        "query_rim": rules.query_rim,
        "other_classes": rules.other_classes,
        "way": list(rules.way),
        "datasets": list(rules.datasets),
    }
    lines = [f"[{name}]", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items())]
    if rules.base is not None:
        lines += [f"\n[{name}.base]", f'asked = "{rules.base.asked}"', f'merge = "{rules.base.merge}"']
        lines.append(f"threshold = {rules.base.threshold}")
    return "\n".join(lines) + "\n"
