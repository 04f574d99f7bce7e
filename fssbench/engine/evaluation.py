"""The evaluation loop: for each episode read, encode, condition, predict, count."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from fssbench.datasets.dataset import Dataset, Label
from fssbench.engine.images import AnyMethod, EncodedImages
from fssbench.engine.leaks import check_leaks
from fssbench.engine.progress import Progress, Silent
from fssbench.engine.provenance import (
    Origin,
    choose_device,
    dataset_record,
    fold_record,
    method_record,
    protocol_record,
    start,
    weights_in_memory,
)
from fssbench.engine.scoring import Answered, Truth, answer_of, row_of
from fssbench.episode import Episode, EpisodeList
from fssbench.errors import BrokenFileError, FSSBenchError, UsageError
from fssbench.protocols import Protocol
from fssbench.protocols import protocol as protocol_of
from fssbench.results.record import Run
from fssbench.results.rows import Row, frame_of
from fssbench.results.run import Existing, Results, RunFolder
from fssbench.transforms import scored_shape

Keep = Callable[[int, int, Answered], None]
"""Is given what was answered, after the fold and the number of the episode."""


def evaluate(
    method: AnyMethod,
    dataset: Dataset,
    episodes: Sequence[Episode],
    *,
    protocol: Protocol | str | None = None,
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    limit: int | None = None,
    progress: Progress | None = None,
    origin: Origin | None = None,
    allow_leak: bool = False,
) -> Results:
    """Ask a method the episodes of one fold and count its answers.

    Args:
        method: From `fssbench.build`, with the weights that are to answer; it is moved to the device, in eval mode.
        dataset: The opened data set.
        episodes: A list from `fssbench.episodes`, or any sequence of `Episode` whose classes are of one fold.
        protocol: The rules of counting, e.g. "hsnet" or "hsnet@original"; default those that drew the list.
        device: "cpu", "cuda", "cuda:N", or "auto".
        out: Folder for the rows as they come (see `fssbench.results`); default none are stored.
        resume: Continue the run in `out`, if there is one; it must ask the same of the same.
        overwrite: Replace the run in `out`.
        limit: Ask only the first so many episodes.
        progress: Told of each row; default nobody is.
        origin: What goes into the record of the run besides.
        allow_leak: Ask also classes that training on another data set has seen (`open_dataset(train_dataset=...)`);
            the record then names them.

    Returns:
        `frame` (a row per episode, see `fssbench.results.Row`), `run` (what was asked, by what, where), `summary()`.

    Raises:
        UsageError: If arguments do not fit each other, training has seen a class, or `out` holds a run already.
        MissingError: If a photo or mask is not there. Rows that are stored stay.
        BrokenFileError: If a photo or mask can't be read. Rows that are stored stay.
    """
    origin = origin or Origin()
    asked = _as_list(episodes, dataset, protocol)
    rules = protocol if isinstance(protocol, Protocol) else protocol_of(protocol or asked.protocol)
    rules = rules.on(dataset.name)
    check_leaks(dataset, [asked], allowed=allow_leak)
    chosen = choose_device(device)
    weights = origin.weights.get(asked.fold) or weights_in_memory(method)
    run = Run(
        method=method_record(method),
        dataset=dataset_record(dataset, asked.split, origin.dataset_options),
        protocol=protocol_record(rules),
        way=asked.way,
        shot=asked.shot,
        split=asked.split,
        folds=(fold_record(asked, dataset, weights, rules),),
        limit=check_limit(limit),
        starts=(start(origin.command, chosen, dataset.root),),
        train_dataset=dataset.trained_on,
    )
    job = Job(asked, lambda: method)
    if out is None:
        return answer(run, [job], dataset, rules, chosen, None, progress)
    if resume and overwrite:
        raise UsageError("a run is either continued or replaced: resume and overwrite exclude each other")
    existing = Existing.RESUME if resume else Existing.OVERWRITE if overwrite else Existing.REFUSE
    with RunFolder(Path(out), run, {asked.fold: asked}, existing) as folder:
        return answer(folder.run, [job], dataset, rules, chosen, folder, progress)


@dataclass(frozen=True)
class Job:
    """One fold of a run: its list, and the method that answers, made when its turn has come."""

    episodes: EpisodeList
    method: Callable[[], AnyMethod]


def answer(
    run: Run,
    jobs: Sequence[Job],
    dataset: Dataset,
    protocol: Protocol,
    device: torch.device,
    folder: RunFolder | None = None,
    progress: Progress | None = None,
    keep: Keep | None = None,
) -> Results:
    """Ask all folds of a run what is not answered yet.

    Args:
        run: The record of the run.
        jobs: Its folds.
        dataset: The opened data set.
        protocol: The rules of counting, brought to the data set by `Protocol.on`.
        device: Where to compute.
        folder: Where rows go and where earlier ones are; None keeps them in memory.
        progress: Told of each row.
        keep: Given each answer before its row is stored.
    """
    shown = progress or Silent()
    rows = [] if folder is None else folder.rows
    try:
        for job, fold in zip(jobs, run.folds, strict=True):
            earlier = [row for row in rows if row.fold == fold.fold]
            total = run.expected(fold)
            shown.start(fold.fold, total, earlier)
            pending = order_of_work(job.episodes[:total], {row.episode for row in earlier})
            if not pending:
                continue
            method = job.method().to(device).eval()
            for row in rows_of(method, dataset, job.episodes, protocol, pending, device, keep):
                if folder is None:
                    rows.append(row)
                else:
                    folder.append(row)
                shown.advance(row)
    except (FSSBenchError, KeyboardInterrupt) as error:
        if folder is not None and folder.rows:
            error.add_note(f"{len(rows)} answered episodes are kept in {folder.path}; resume continues after them")
        raise
    finally:
        shown.close()
    return Results(frame_of(rows), run) if folder is None else folder.finish()


def order_of_work(episodes: Sequence[Episode], done: set[int]) -> list[int]:
    """Return the numbers of the episodes still to be answered, in the order of work.

    The order of work is free: rows carry their number, and every number made from them is a sum.
    """
    return [number for number in range(len(episodes)) if number not in done]


def rows_of(
    method: AnyMethod,
    dataset: Dataset,
    episodes: EpisodeList,
    protocol: Protocol,
    numbers: Sequence[int],
    device: torch.device,
    keep: Keep | None = None,
) -> Iterator[Row]:
    """Yield a row per episode of these numbers, in their order. Nothing is kept for gradients."""
    images = EncodedImages(method, dataset, protocol, device)
    for number in numbers:
        with torch.inference_mode():
            row = _answer_one(method, dataset, episodes, number, protocol, images, keep)
        yield row


def _answer_one(
    method: AnyMethod,
    dataset: Dataset,
    episodes: EpisodeList,
    number: int,
    protocol: Protocol,
    images: EncodedImages,
    keep: Keep | None,
) -> Row:
    started = time.perf_counter()
    episode = episodes[number]
    label = dataset.label(episode.query)
    truth = Truth.of(label, episode.classes, protocol)
    if protocol.score_at == "input":
        asked_size = protocol.input
    else:
        _check_size(images.size(episode.query), label, episode.query, dataset)
        asked_size = scored_shape((label.shape[0], label.shape[1]), protocol.resize)
    supports = [
        [images.support(name, class_id) for name in names]
        for class_id, names in zip(episode.classes, episode.supports, strict=True)
    ]
    prediction = method.predict(images.features(episode.query), supports, asked_size)
    if asked_size != truth.label.shape:
        prediction = prediction.cropped(truth.label.shape[0], truth.label.shape[1])
    base_classes = () if protocol.base is None else dataset.fold_classes(episodes.fold, "train")
    answered = Answered(*answer_of(prediction, protocol), tuple(bool(said) for said in prediction.present.tolist()))
    row = row_of(episodes, number, answered, truth, base_classes, protocol)
    if keep is not None:
        keep(episodes.fold, number, answered)
    return replace(row, seconds=round(time.perf_counter() - started, 6))


def _check_size(size: tuple[int, int], label: Label, name: str, dataset: Dataset) -> None:
    if size != label.shape:
        raise BrokenFileError(
            f"{dataset.name} {name}: the photo has {size[0]} x {size[1]} pixels, its label map "
            f"{label.shape[0]} x {label.shape[1]}",
            f"fssbench data check {dataset.name}",
        )


def check_limit(limit: int | None) -> int | None:
    """Return `limit`.

    Raises:
        UsageError: If it asks nothing.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"a limit is 1 or more episodes, not {limit}")
    return limit


def _as_list(episodes: Sequence[Episode], dataset: Dataset, protocol: Protocol | str | None) -> EpisodeList:
    if not episodes:
        raise UsageError("there is no episode to evaluate")
    if isinstance(episodes, EpisodeList):
        if episodes.dataset != dataset.name:
            raise UsageError(f"the list asks of {episodes.dataset}, the data set is {dataset.name}")
        return episodes
    if protocol is None:
        raise UsageError("a bare sequence of episodes names no protocol", 'evaluate(..., protocol="hsnet")')
    first = episodes[0]
    classes = {class_id for episode in episodes for class_id in episode.classes}
    side = (protocol if isinstance(protocol, Protocol) else protocol_of(protocol)).on(dataset.name).split
    novel = "val" if side == "train" else side
    folds = [fold for fold in range(dataset.fold_count) if classes <= set(dataset.fold_classes(fold, novel))]
    if not folds:
        raise UsageError(f"the classes {sorted(classes)} are not of one fold of {dataset.name}; evaluate fold by fold")
    if any(
        (episode.way, {len(names) for names in episode.supports}) != (first.way, {first.shot}) for episode in episodes
    ):
        raise UsageError("the episodes differ in ways or shots")
    return EpisodeList(
        episodes=tuple(episodes),
        dataset=dataset.name,
        fold=folds[0],
        split=side,
        way=first.way,
        shot=first.shot,
        protocol="none",
        seed=0,
        list_order="as given",
        data_fingerprint=dataset.split_fingerprint(side),
        train_dataset=dataset.trained_on,
        test_classes=dataset.test_classes,
    )
