"""The loop: for the episodes of one method or several, read, encode, condition, predict, count."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from itertools import chain

import torch

from fssbench.datasets.dataset import Dataset, Label
from fssbench.datasets.io.label_maps import LabelMaps
from fssbench.engine.features.cache import CacheCounts
from fssbench.engine.features.features import AnyMethod, Features, FoldJob, Step
from fssbench.engine.features.loader import Loader, default_workers
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

OnPrediction = Callable[[int, int, PredictedLabels], None]
"""Is given what was answered, after the fold and the number of the episode."""

STEPS_AHEAD = 8
"""How many steps ahead photos are read."""
EPISODES_PER_THREAD = 4
"""How many episodes of a call each thread answers: the more, the less the others wait for the last."""
MAX_EPISODES_PER_CALL = 16
"""Episodes of a call at most, on a processor: what they need is in memory."""


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
    """Yield a row per episode of these numbers, in their order. Nothing is kept for gradients."""
    job = FoldJob(method, episodes, protocol, numbers)
    for _, row, answered in evaluate_jobs([job], dataset, device, settings or Settings()):
        if on_prediction is not None:
            on_prediction(episodes.fold, row.episode, answered)
        yield row


def evaluate_jobs(
    jobs: Sequence[FoldJob],
    dataset: Dataset,
    device: torch.device,
    settings: Settings,
    timers: StageTimers | None = None,
    processes: int = 1,
    cache_counts: CacheCounts | None = None,
) -> Generator[tuple[int, Row, PredictedLabels], None, None]:
    """Yield for each episode the place of its job, its row and what was answered, in the order of work.

    Several jobs are merged, fold after fold, by class and query, each keeping its own order where it is the order of
    work; a lone one is answered in the order of its numbers.

    Args:
        jobs: Methods, and the episodes that each is evaluated on.
        dataset: The opened data set.
        device: Where methods compute; they are there.
        settings: How to compute.
        timers: Measures the time of each stage.
        processes: How many processes share this machine.
        cache_counts: Counts the uses of the feature cache.

    Raises:
        MissingError: If a photo or label map is not there.
        BrokenFileError: If one can't be read.
    """
    timers = timers or StageTimers()
    timers.device, timers.waiting = device, settings.profiled
    # Under autocast torch counts operations by calls that it does not cast.
    timers.counting = settings.profiled and settings.precision in ("float32", "tf32")
    steps = _merged(jobs)
    batch = settings.batch_on(device)
    at_once = episodes_at_once(device)
    together = batch if at_once == 1 else max(batch, min(EPISODES_PER_THREAD * at_once, MAX_EPISODES_PER_CALL))
    budget = default_budget(device, processes) if settings.feature_cache is None else settings.feature_cache
    workers = default_workers(device, processes) if settings.workers is None else settings.workers
    labels = _label_maps(jobs, dataset)
    with (
        freed_memory_kept(device),
        Loader(
            dataset, workers, max(STEPS_AHEAD, 2 * together), pinned=device.type == "cuda", label=labels.of
        ) as loader,
    ):
        features = Features(jobs, steps, loader, budget, device, batch, timers, compiled=settings.compiled)
        features.cache.counts = cache_counts or features.cache.counts
        for start in range(0, len(steps), together):
            began = time.perf_counter()
            places = range(start, min(start + together, len(steps)))
            with torch.inference_mode(), settings.autocast(device):
                features.prefetch(range(start, min(places.stop + STEPS_AHEAD, len(steps))))
                answered = _predict_steps(jobs, steps, places, features, loader, dataset, timers)
            timers.episodes += len(places)
            seconds = round((time.perf_counter() - began) / len(places), 6)
            for which, row, said in answered:
                photos = loader.digests_of(photo_names(row.query, row.supports))
                yield which, replace(row, seconds=seconds, photos=photos), said


def _label_maps(jobs: Sequence[FoldJob], dataset: Dataset) -> LabelMaps:
    asked = [job.episodes[number] for job in jobs for number in job.numbers]
    names = {name for episode in asked for name in chain([episode.query], *episode.supports)}
    return LabelMaps(dataset, names, {job.episodes.split for job in jobs})


def _merged(jobs: Sequence[FoldJob]) -> list[Step]:
    lists = [job.episodes for job in jobs]
    steps = [(place, number) for place, job in enumerate(jobs) for number in job.numbers]
    if len(jobs) > 1:
        # Stable: within one query the jobs follow each other.
        steps.sort(key=lambda step: (lists[step[0]].fold, work_key(lists[step[0]][step[1]])))
    return steps


def _predict_steps(
    jobs: Sequence[FoldJob],
    steps: Sequence[Step],
    places: range,
    features: Features,
    loader: Loader,
    dataset: Dataset,
    timers: StageTimers,
) -> list[tuple[int, Row, PredictedLabels]]:
    """Return the rows of some consecutive steps, their time still 0."""
    found = features.get(places)
    truths: dict[int, Truth] = {}
    sizes: dict[int, tuple[int, int]] = {}
    by_job: dict[int, list[int]] = {}
    for place in places:
        which, number = steps[place]
        job, episode = jobs[which], jobs[which].episodes[number]
        with timers.stage("decode"):
            label = loader.label(episode.query)
        with timers.stage("score"):
            truths[place] = Truth.of(label, episode.classes, job.protocol)
        sizes[place] = _prediction_size(job, dataset, loader, episode.query, label)
        by_job.setdefault(which, []).append(place)
    calls = [
        Call(
            jobs[which].method,
            [found[features.query(place)] for place in own],
            [[[found[key] for key in shots] for shots in features.supports(place)] for place in own],
            [sizes[place] for place in own],
        )
        for which, own in by_job.items()
    ]
    with timers.stage("predict", len(places)):
        answered = predict_calls(calls)
    rows = []
    with timers.stage("score"):
        for place, prediction in zip(chain(*by_job.values()), chain(*answered), strict=True):
            which, number = steps[place]
            row, said = _count_prediction(jobs[which], dataset, number, prediction, truths[place])
            rows.append((which, replace(row, lost_supports=features.lost_supports(place)), said))
    return rows


def _count_prediction(
    job: FoldJob, dataset: Dataset, number: int, prediction: Prediction, truth: Truth
) -> tuple[Row, PredictedLabels]:
    height, width = truth.label.shape
    if prediction.labels.shape != truth.label.shape:
        prediction = prediction.cropped(height, width)
    rules, episodes = job.protocol, job.episodes
    base_classes = () if rules.base is None else dataset.fold_classes(episodes.fold, "train")
    answered = PredictedLabels(
        *label_maps_of(prediction, rules), tuple(bool(said) for said in prediction.present.tolist())
    )
    return row_of(episodes, number, answered, truth, base_classes, rules), answered


def _prediction_size(job: FoldJob, dataset: Dataset, loader: Loader, name: str, label: Label) -> tuple[int, int]:
    """Return the (height, width) that a method is asked to answer at."""
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
