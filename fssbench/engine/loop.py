"""The evaluation loop: load, encode, condition, predict and count the episodes of one or several methods."""

from __future__ import annotations

import logging
import time
from bisect import bisect
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import torch

from fssbench.datasets.dataset import Dataset, Label
from fssbench.datasets.io.label_maps import LabelMaps
from fssbench.engine.batch_sizes import BatchSizes, attempted, free_unused
from fssbench.engine.features.cache import CacheCounts
from fssbench.engine.features.features import FeatureKey, Features, Step
from fssbench.engine.features.jobs import AnyMethod, FoldJob, SameParts, same_parts
from fssbench.engine.features.loader import Loader, default_workers
from fssbench.engine.features.room import room_of
from fssbench.engine.features.store import DEFAULT_BYTES, FeatureStore
from fssbench.engine.features.stored_encoder import StoredEncoder, encoder_key
from fssbench.engine.order import work_key
from fssbench.engine.profiling.memory import default_budget, freed_memory_kept
from fssbench.engine.profiling.timers import StageTimers
from fssbench.episode import EpisodeList
from fssbench.errors import BrokenFileError
from fssbench.fast.threads import Call, episodes_at_once, predict_calls
from fssbench.methods.base.method import Prediction
from fssbench.planning.settings import Settings
from fssbench.protocols.rules import Protocol
from fssbench.protocols.transforms import scored_shape
from fssbench.results.photos import photo_names
from fssbench.results.rows import Row
from fssbench.results.scoring import PredictedLabels, Truth, label_maps_of, row_of
from fssbench.stopping import finishing

_LOG = logging.getLogger(__name__)

OnPrediction = Callable[[int, int, PredictedLabels], None]
"""Called with the fold, the number of the episode, and the predicted labels."""
OnBatches = Callable[[tuple[int, ...]], None]
"""Called with the numbers of episodes of a call so far, such as (8, 4)."""

STEPS_AHEAD = 8
"""How many steps ahead photos are read."""


def rows_of(
    method: AnyMethod,
    dataset: Dataset,
    episodes: EpisodeList,
    protocol: Protocol,
    numbers: Sequence[int],
    device: torch.device,
    on_prediction: OnPrediction | None = None,
    settings: Settings | None = None,
) -> Iterator[Row]:
    """Yield a row for each of these episodes, in the order of `numbers`. Nothing is kept for gradients."""
    job = FoldJob(method, episodes, protocol, numbers)
    for _, row, predicted in evaluate_jobs([job], dataset, device, settings or Settings()):
        if on_prediction is not None:
            on_prediction(episodes.fold, row.episode, predicted)
        yield row


def evaluate_jobs(
    jobs: Sequence[FoldJob],
    dataset: Dataset,
    device: torch.device,
    settings: Settings,
    timers: StageTimers | None = None,
    processes: int = 1,
    cache_counts: CacheCounts | None = None,
    on_batches: OnBatches | None = None,
    looks: Sequence[int] = (),
) -> Generator[tuple[int, Row, PredictedLabels], None, None]:
    """Yield for each episode the index of its job, its row and the predicted labels, in the order of evaluation.

    Several jobs are merged fold after fold and sorted by class. Those of a class follow each other by encoder and input
    size, so that features of one kind are in the cache at a time, while the photos of the class are read once for all;
    then they are sorted by query. Within the same query each job keeps the order of its numbers. A single job is
    evaluated in the order of its numbers.

    With looks, all this is so of the episodes before each look. Those after it are predicted when the caller goes on;
    features that they need are kept, as those for later folds are.

    Args:
        jobs: Methods, and the episodes that each is evaluated on.
        dataset: The opened data set.
        device: Where the methods are and compute.
        settings: How to compute.
        timers: Measures the time of each stage.
        processes: How many processes share this machine.
        cache_counts: Counts the uses of the feature cache.
        on_batches: Called when calls get another number of episodes.
        looks: After how many episodes of each list, rising, the caller may end.

    Raises:
        UsageError: If memory runs out even with one episode in a call, or a method can't read the name of a class.
        MissingError: If a photo or label map is missing.
        BrokenFileError: If one can't be read.
    """
    for one in jobs:
        _check_names(one, dataset)
    timers = timers or StageTimers()
    timers.device, timers.waiting = device, settings.profiled
    # Not under autocast: torch's counting makes calls that autocast does not cast.
    timers.counting = settings.profiled and settings.precision in ("float32", "tf32", "float16-features")
    same = same_parts(jobs)
    steps = _merged(jobs, same, looks)
    stages = [bisect(looks, number) for _, number in steps]
    sizes = BatchSizes(settings, device, episodes_at_once(device))
    budget = default_budget(device, processes) if settings.feature_cache is None else settings.feature_cache
    workers = default_workers(device, processes) if settings.workers is None else settings.workers
    labels = _label_maps(jobs, dataset)
    with (
        freed_memory_kept(device) as settle,
        Loader(
            dataset, workers, max(STEPS_AHEAD, 2 * sizes.most), pinned=device.type == "cuda", label=labels.of
        ) as loader,
    ):
        features = Features(
            *(jobs, same, steps, loader, budget, device, sizes.images, timers),
            compiled=settings.compiled,
            channels_last=settings.channels_last,
            stored=_stored(jobs, same, settings, device),
            looks=looks,
            rounds=settings.precision == "float16-features",
            between=settle,
        )
        features.cache.counts = cache_counts or features.cache.counts
        room = room_of(features.cache, settings.feature_cache, [job.method for job in jobs], device)
        start = 0
        while start < len(steps):
            began = time.perf_counter()
            indices = sizes.call(start, bisect(stages, stages[start]))
            found: Mapping[FeatureKey, Any] = {}
            results: list[tuple[int, Row, PredictedLabels]] = []
            sizes.begin()
            with attempted() as attempt, torch.inference_mode(), settings.autocast(device):
                features.prefetch(range(start, min(indices.stop + STEPS_AHEAD, len(steps))))
                found = features.get(indices)
            # A command that is told to end writes the rows of the episodes that are predicted at that moment.
            with finishing():
                if not attempt.reason:
                    settle()
                    if room is not None:
                        room.before(found, indices.stop)
                    with attempted() as attempt, torch.inference_mode(), settings.autocast(device):
                        results = _predict_steps(jobs, steps, indices, features, found, loader, dataset, timers)
                if room is not None:
                    room.after(indices.stop)
                timers.episodes += len(results)
                seconds = round((time.perf_counter() - began) / max(len(results), 1), 6)
                for job, row, predicted in results:
                    names = photo_names(row.query, row.supports)
                    photos, masks = loader.digests_of(names), loader.mask_digests_of(names)
                    yield job, replace(row, seconds=seconds, photos=photos, masks=masks), predicted
            found, results = {}, []  # else the next features are computed while these are in memory
            if attempt.reason:
                _make_room(sizes, features, indices.start, attempt.reason, device)
            else:
                start = indices.stop
                sizes.end(len(indices))
            features.batch_size = sizes.images
            if on_batches is not None and len(sizes.changes) > 1:
                on_batches(tuple(sizes.changes))


def _check_names(job: FoldJob, dataset: Dataset) -> None:
    """Let a method that reads the names of classes refuse those of its episodes before any photo is read."""
    if job.method.reads_class_names:
        classes = {class_id for number in job.numbers for class_id in job.episodes[number].classes}
        job.method.check_names(dataset.class_names[class_id] for class_id in sorted(classes))


def _make_room(sizes: BatchSizes, features: Features, step: int, reason: str, device: torch.device) -> None:
    """Compute fewer episodes in a call and keep fewer features; with one episode in a call keep none.

    Raises:
        UsageError: If that is so already.
    """
    cache = features.cache
    if sizes.episodes > 1 or cache.budget == 0:
        sizes.halve(reason)
        cache.shrink(cache.budget // 2, step)
    else:
        _LOG.warning("memory ran out on %s; from here no features are kept (%s)", device, reason)
        cache.shrink(0, step)
    free_unused(device)


def _stored(
    jobs: Sequence[FoldJob], same: SameParts, settings: Settings, device: torch.device
) -> dict[int, StoredEncoder]:
    """Return the store of each encoder whose features may be kept, by its number."""
    if settings.feature_store is None:
        return {}
    store = FeatureStore(settings.feature_store, settings.feature_store_size or DEFAULT_BYTES)
    keys = {number: encoder_key(jobs[number].method, settings, device) for number in set(same.encoders)}
    half = settings.precision == "float16-features"
    return {number: StoredEncoder(store, key, device, rounded=half) for number, key in keys.items() if key is not None}


def _label_maps(jobs: Sequence[FoldJob], dataset: Dataset) -> LabelMaps:
    episodes = [job.episodes[number] for job in jobs for number in job.numbers]
    names = {name for episode in episodes for name in chain([episode.query], *episode.supports)}
    return LabelMaps(dataset, names, {job.episodes.split for job in jobs})


def _merged(jobs: Sequence[FoldJob], same: SameParts, looks: Sequence[int]) -> list[Step]:
    lists = [job.episodes for job in jobs]
    steps = [(index, number) for index, job in enumerate(jobs) for number in job.numbers]
    if len(jobs) > 1:
        kinds = [(encoder, job.transform) for encoder, job in zip(same.encoders, jobs, strict=True)]
        kind_of = [kinds.index(kind) for kind in kinds]

        def place(step: Step) -> tuple[int, tuple[int, ...], int, str]:
            episodes = lists[step[0]]
            classes, query = work_key(episodes[step[1]])
            return episodes.fold, classes, kind_of[step[0]], query

        steps.sort(key=place)  # stable: jobs with the same query follow each other
    return sorted(steps, key=lambda step: bisect(looks, step[1]))


def _predict_steps(
    jobs: Sequence[FoldJob],
    steps: Sequence[Step],
    indices: range,
    features: Features,
    found: Mapping[FeatureKey, Any],
    loader: Loader,
    dataset: Dataset,
    timers: StageTimers,
) -> list[tuple[int, Row, PredictedLabels]]:
    """Return the results of consecutive steps, from their features; the seconds of their rows are still 0.

    Only those are there that were predicted before the command was told to end.
    """
    truths: dict[int, Truth] = {}
    sizes: dict[int, tuple[int, int]] = {}
    by_job: dict[int, list[int]] = {}
    for index in indices:
        job_index, number = steps[index]
        job, episode = jobs[job_index], jobs[job_index].episodes[number]
        with timers.stage("decode"):
            label = loader.label(episode.query)
        with timers.stage("score"):
            truths[index] = Truth.of(label, episode.classes, job.protocol)
        sizes[index] = _prediction_size(job, dataset, loader, episode.query, label)
        by_job.setdefault(job_index, []).append(index)
    calls = [
        Call(
            jobs[job_index].method,
            [found[features.query(index)] for index in indices_of_job],
            [[[found[key] for key in shots] for shots in features.supports(index)] for index in indices_of_job],
            [sizes[index] for index in indices_of_job],
        )
        for job_index, indices_of_job in by_job.items()
    ]
    with timers.stage("predict", len(indices)):
        predictions = predict_calls(calls)
    rows = []
    with timers.stage("score"):
        by_call = zip(by_job.values(), predictions, strict=True)
        for index, prediction in chain.from_iterable(zip(*pair, strict=False) for pair in by_call):
            job_index, number = steps[index]
            row, predicted = _count_prediction(jobs[job_index], dataset, number, prediction, truths[index])
            rows.append((job_index, replace(row, lost_supports=features.lost_supports(index)), predicted))
    return rows


def _count_prediction(
    job: FoldJob, dataset: Dataset, number: int, prediction: Prediction, truth: Truth
) -> tuple[Row, PredictedLabels]:
    height, width = truth.label.shape
    if prediction.labels.shape != truth.label.shape:
        prediction = prediction.cropped(height, width)
    rules, episodes = job.protocol, job.episodes
    base_classes = () if rules.base is None else dataset.fold_classes(episodes.fold, "train")
    predicted = PredictedLabels(
        *label_maps_of(prediction, rules), tuple(bool(present) for present in prediction.present.tolist())
    )
    return row_of(episodes, number, predicted, truth, base_classes, rules), predicted


def _prediction_size(job: FoldJob, dataset: Dataset, loader: Loader, name: str, label: Label) -> tuple[int, int]:
    """Return the (height, width) at which a method predicts."""
    if job.protocol.score_at == "input":
        return job.protocol.input
    size = loader.shapes[name]
    if size != label.shape:
        raise BrokenFileError(
            f"{dataset.name} {name}: the photo has {size[0]} x {size[1]} pixels, its label map "
            f"{label.shape[0]} x {label.shape[1]}",
            dataset.check_command,
        )
    return scored_shape((label.shape[0], label.shape[1]), job.protocol.resize)
