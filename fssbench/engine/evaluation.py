"""Evaluates a method object from Python."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, runtime_checkable

from fssbench.checkpoints.hashes import weights_in_memory
from fssbench.datasets.dataset import Dataset
from fssbench.engine.computing import described
from fssbench.engine.features.jobs import AnyMethod
from fssbench.engine.folds import RunJob, evaluate_runs
from fssbench.episode import Episode, EpisodeList
from fssbench.episode.absent import check_claims
from fssbench.errors import UsageError
from fssbench.planning.episode_lists import check_whole_queries
from fssbench.planning.leaks import check_leaks
from fssbench.planning.records import Origin, dataset_record, fold_record, method_record, protocol_record
from fssbench.planning.settings import Settings, choose_device
from fssbench.planning.until import until_of
from fssbench.protocols.rules import Protocol as Rules
from fssbench.protocols.rules import protocol as protocol_of
from fssbench.protocols.rules import protocol_of_list
from fssbench.results.environment import start
from fssbench.results.progress import Progress, Silent
from fssbench.results.record import Run
from fssbench.results.run_reader import Existing, Results
from fssbench.results.run_writer import RunFolder
from fssbench.results.weights_record import Weights
from fssbench.tracking.callback import Callback
from fssbench.tracking.guarded import Guarded, watching


@runtime_checkable
class Loaded(Protocol):
    """A method with the weights of a fold: `fssbench.load` returns one."""

    @property
    def dataset(self) -> str:
        """The data set that it was trained on."""

    @property
    def weights(self) -> Weights:
        """Where its weights come from."""

    def for_episodes(self, episodes: EpisodeList, dataset: Dataset) -> AnyMethod:
        """Return the method for a list, or refuse a list whose classes training has seen."""


def evaluate(
    method: AnyMethod | Loaded,
    dataset: Dataset,
    episodes: Sequence[Episode],
    *,
    protocol: Rules | str | None = None,
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    limit: int | None = None,
    until: float | None = None,
    progress: Progress | None = None,
    origin: Origin | None = None,
    settings: Settings | None = None,
    allow_leak: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Results:
    """Evaluate a method on the episodes of one fold.

    Args:
        method: From `fssbench.load`; or from `fssbench.build`, with its weights loaded. It is moved to the device and
            put in eval mode.
        dataset: The opened data set.
        episodes: A list from `fssbench.episodes`, or any sequence of `Episode` whose classes belong to one fold.
        protocol: The counting rules, e.g. "hsnet", "hsnet@original" or "./mine.toml"; default that of
            the list.
        device: "cpu", "cuda", "cuda:N", or "auto".
        out: Run folder to which rows are written at once (see `fssbench.results`); default none.
        resume: Continue the run in `out`, if there is one; it must have the same settings.
        overwrite: Replace the run in `out`.
        limit: Evaluate only the first so many episodes.
        until: End when the 95 % interval of mIoU is `until` points to either side, at one of some looks that are fixed
            before; `limit`, or the list, is then the most. The level is corrected for the looks (docs/statistics.md).
        progress: Receives each row; default none.
        origin: Further entries for the record of the run.
        settings: How to compute: feature cache, batch size, precision, ...
        allow_leak: Also evaluate classes that training on another data set has seen
            (`open_dataset(train_dataset=...)`); the record then names them.
        callbacks: Are told of the run while it goes on (`fssbench.tracking`); an error of one is a warning.

    Returns:
        `frame` (a row per episode, see `fssbench.results.Row`), `run` (the record), `summary()`.

    Raises:
        UsageError: If arguments do not fit each other, training has seen a class, or `out` already holds a run.
        MissingError: If a photo or mask is missing. Rows that are written stay.
        BrokenFileError: If a photo or mask can't be read. Rows that are written stay.

    Examples:
        >>> import fssbench
        >>> dataset = fssbench.open_dataset("shapes20i")
        >>> episodes = fssbench.episodes(dataset, fold=0, way=1, shot=1, protocol="shapes", count=3)
        >>> results = fssbench.evaluate(fssbench.build("copy-mask"), dataset, episodes)
        >>> results.frame["intersection"].tolist()  # of background and class, in pixels
        [(31654, 0), (40920, 0), (40169, 42)]
        >>> f"{results.summary().miou:.2f} %"
        '0.54 %'
    """
    origin, settings = origin or Origin(), settings or Settings()
    episode_list = _as_list(episodes, dataset, protocol)
    dataset = dataset.for_shots(episode_list.shot)
    rules = _rules(protocol, episode_list).on(dataset.name)
    check_leaks(dataset, [episode_list], allowed=allow_leak)
    check_whole_queries([episode_list], limit)
    check_claims(episode_list, dataset, "the list")
    chosen = choose_device(device)
    trained_on, weights = dataset.trained_on, origin.weights.get(episode_list.fold)
    if isinstance(method, Loaded):
        module = method.for_episodes(episode_list, dataset)
        weights = weights or method.weights
        if method.dataset != dataset.name and weights.kind != "none":
            trained_on = method.dataset
    else:
        module = method
    weights = weights or weights_in_memory(module)
    run = Run(
        method=method_record(module),
        dataset=dataset_record(dataset, episode_list.split, origin.dataset_options),
        protocol=protocol_record(rules),
        way=episode_list.way,
        shot=episode_list.shot,
        split=episode_list.split,
        folds=(fold_record(episode_list, dataset, weights, rules),),
        limit=check_limit(limit),
        until=None if until is None else until_of(until, [episode_list], limit),
        starts=(start(origin.command, chosen, dataset.root, described(settings)),),
        precision=settings.precision,
        plain=settings.plain,
        train_dataset=trained_on,
    )
    if resume and overwrite:
        raise UsageError("a run is either continued or replaced: resume and overwrite exclude each other")
    existing = Existing.RESUME if resume else Existing.OVERWRITE if overwrite else Existing.REFUSE
    told = [Guarded(one) for one in callbacks]
    with ExitStack() as stack:
        folder = None
        if out is not None:
            folder = stack.enter_context(RunFolder(Path(out), run, {episode_list.fold: episode_list}, existing))
            run = folder.run
        shown, finished = stack.enter_context(
            watching(progress or Silent(), told, [(run, None if folder is None else folder.path)])
        )
        job = RunJob(run, [episode_list], lambda _: module, rules, folder)
        results = evaluate_runs([job], dataset, chosen, settings, shown)
        finished(results)
    return results[0]


def check_limit(limit: int | None) -> int | None:
    """Return `limit`.

    Raises:
        UsageError: If it is below 1.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"a limit is 1 or more episodes, not {limit}")
    return limit


def _rules(protocol: Rules | str | None, episodes: EpisodeList) -> Rules:
    if isinstance(protocol, Rules):
        return protocol
    return protocol_of_list(episodes.protocol, "the list") if protocol is None else protocol_of(protocol)


def _as_list(episodes: Sequence[Episode], dataset: Dataset, protocol: Rules | str | None) -> EpisodeList:
    if not episodes:
        raise UsageError("there is no episode to evaluate")
    if isinstance(episodes, EpisodeList):
        if episodes.dataset != dataset.name:
            raise UsageError(f"the list has episodes of {episodes.dataset}, but the data set is {dataset.name}")
        return episodes
    if protocol is None:
        raise UsageError("a plain sequence of episodes names no protocol", 'evaluate(..., protocol="hsnet")')
    first = episodes[0]
    dataset = dataset.for_shots(first.shot)
    classes = {class_id for episode in episodes for class_id in episode.classes}
    split = (protocol if isinstance(protocol, Rules) else protocol_of(protocol)).on(dataset.name).split
    novel = "val" if split == "train" else split
    folds = [fold for fold in range(dataset.fold_count) if classes <= set(dataset.fold_classes(fold, novel))]
    if not folds:
        raise UsageError(
            f"the classes {sorted(classes)} do not belong to one fold of {dataset.name}; evaluate fold by fold"
        )
    if any(
        (episode.way, {len(names) for names in episode.supports}) != (first.way, {first.shot}) for episode in episodes
    ):
        raise UsageError("the episodes differ in ways or shots")
    return EpisodeList(
        episodes=tuple(episodes),
        dataset=dataset.name,
        fold=folds[0],
        split=split,
        way=first.way,
        shot=first.shot,
        protocol="none",
        seed=0,
        list_order="as given",
        data_fingerprint=dataset.split_fingerprint(split),
        train_dataset=dataset.trained_on,
        test_classes=dataset.test_classes,
    )
