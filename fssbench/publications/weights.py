"""For each printed result: whether its authors released the weights, where, and whether they are on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from fssbench.checkpoints.fetching import pattern_of, present
from fssbench.checkpoints.links import link_of
from fssbench.checkpoints.registry import Record, records
from fssbench.methods.catalogue import MethodInfo, list_methods, method_info
from fssbench.publications.load import publications
from fssbench.publications.rows import Paper, PrintedRow
from fssbench.publications.status import implementation_of

Released = Literal["registered", "public networks", "elsewhere", "other rows", "none", "unknown"]


@dataclass(frozen=True)
class RowWeights:
    """The weights of a printed result.

    Attributes:
        method: Key of the method in the printed tables.
        name: Its printed name.
        variant: Its printed variant; empty for the method itself.
        backbone: Its backbone; empty if none is printed.
        dataset: The data set, or A_to_B.
        task: "fss", "fscs" or "cross-domain".
        shot: K; None if it is not printed.
        released: "registered" if they are in checkpoints.toml; "public networks" for a method without training, whose
            networks are; "elsewhere" if they are released, but not registered; "other rows" if only those of other rows
            of the method are registered; "none" if the release has none; "unknown" if nobody has looked.
        where: The host; of what is not registered the link.
        note: Where that was read, and of what the weights are.
        fetched: Whether `fssbench checkpoints fetch` tries to get them; a browser is needed otherwise.
        ids: The registered checkpoints.
        folds: How many folds they are of; of public networks their number.
        here: How many of these are on this machine.
    """

    method: str
    name: str
    variant: str
    backbone: str
    dataset: str
    task: str
    shot: int | None
    released: Released
    where: str = ""
    note: str = ""
    fetched: bool = False
    ids: tuple[str, ...] = ()
    folds: int = 0
    here: int = 0

    @property
    def command(self) -> str:
        """The command that gets them, or says how; empty if they are here, or not registered."""
        if not self.ids or self.here == self.folds:
            return ""
        return f"fssbench checkpoints fetch {pattern_of(self.ids, self.ids, [one.id for one in records()])}"


def row_weights(methods: Iterable[str] = (), datasets: Iterable[str] = ()) -> list[RowWeights]:
    """Return the weights of each printed result, each once: in the order of the tables, without ablations and re-runs.

    Args:
        methods: Keys of methods; default all.
        datasets: Data sets of the rows; default all.
    """
    known, entries = publications(), records()
    methods, datasets = set(methods), set(datasets)
    rows: dict[tuple[object, ...], PrintedRow] = {}
    for row in known.rows:
        if (
            row.role == "result"
            and row.method in (methods or {row.method})
            and row.dataset in (datasets or {row.dataset})
        ):
            rows.setdefault((row.method, row.variant, row.backbone, row.dataset, row.task, row.shot), row)
    on_disk = {entry.id for entry in entries if entry.url or entry.hub or entry.path if present(entry)}
    return [_weights_of(row, known.methods[row.method], entries, on_disk) for row in rows.values()]


def _weights_of(row: PrintedRow, paper: Paper, entries: Sequence[Record], on_disk: set[str]) -> RowWeights:
    info = _info(row.method)
    if info is not None and info.training == "training-free":
        networks = _networks(row, info, entries)
        if networks:
            return _row(row, paper, "public networks", networks, {entry.id for entry in networks} & on_disk)
    of_method = [entry for entry in entries if info is not None and entry.method == info.name and _released(entry)]
    fitting = [entry for entry in of_method if info is not None and _fits(row, entry, info)]
    if fitting:
        return _row(row, paper, "registered", fitting, {entry.id for entry in fitting} & on_disk)
    if of_method and row.method != "asnet-w":
        note = "the registered checkpoints of the method are of other rows"
        return _bare(row, paper, "other rows", "", note)
    if paper.weights == "none":
        return _bare(row, paper, "none", "", paper.weights_note)
    if paper.weights:
        return _bare(row, paper, "elsewhere", paper.weights, paper.weights_note)
    return _bare(row, paper, "unknown", "", "nobody has looked")


def _info(method: str) -> MethodInfo | None:
    name = implementation_of(method)
    return method_info(name) if name in list_methods() and name is not None else None


def _released(entry: Record) -> bool:
    """Return whether a record is of a release, perhaps with a file that the user has added."""
    return bool(entry.url) or (bool(entry.expected_source) and bool(entry.path))


def _fits(row: PrintedRow, entry: Record, info: MethodInfo) -> bool:
    trained_on, _, elsewhere = row.dataset.partition("_to_")
    if row.task == "cross-domain" and not elsewhere:
        return False  # the row does not say what it was trained on
    task = "fscs" if row.task == "fscs" else "fss"
    if task not in info.tasks.values():
        return False
    variant = row.variant or info.printed_variant(task, trained_on)
    return (
        (entry.variant or next(iter(info.tasks))) == variant
        and (entry.backbone, entry.dataset, entry.weak) == (row.backbone, trained_on, row.method == "asnet-w")
        and (not entry.shots or row.shot is None or row.shot in entry.shots or task == "fscs")
    )


def _networks(row: PrintedRow, info: MethodInfo, entries: Sequence[Record]) -> list[Record]:
    """Return the records of the networks that a method without training takes as they are."""
    names = (row.backbone or info.backbones[0]).split("+") if info.backbones else []
    public = [entry for entry in entries if not entry.method and not entry.path and entry.backbone in names]
    return public if len({entry.backbone for entry in public}) == len(names) else []


def _row(row: PrintedRow, paper: Paper, released: Released, entries: Sequence[Record], here: set[str]) -> RowWeights:
    def parts(chosen: Iterable[Record]) -> int:
        return len({(entry.fold, "" if entry.method else entry.backbone) for entry in chosen})

    links = [link_of(entry.url, entry.hosting) for entry in entries if entry.url]
    hosts = [link.host for link in links] + ["Hugging Face hub" for entry in entries if entry.hub]
    hosts += ["added by hand" for entry in entries if entry.path]
    return RowWeights(
        row.method,
        paper.name,
        row.variant,
        row.backbone,
        row.dataset,
        row.task,
        row.shot,
        released,
        where=", ".join(dict.fromkeys(hosts)),
        fetched=all(link.by_program for link in links),
        ids=tuple(entry.id for entry in entries),
        folds=parts(entries),
        here=parts(entry for entry in entries if entry.id in here),
    )


def _bare(row: PrintedRow, paper: Paper, released: Released, where: str, note: str) -> RowWeights:
    names = (row.method, paper.name, row.variant, row.backbone, row.dataset, row.task, row.shot)
    return RowWeights(*names, released, where, note)
