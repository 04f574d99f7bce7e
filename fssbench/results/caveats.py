"""The caveats of a run: which episodes, how many, which weights. They are printed with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fssbench.episode import EpisodeList
from fssbench.episode.verify import official, runs_in
from fssbench.ledger.words import fact_text, named
from fssbench.methods.catalogue import REGISTRY, method_info
from fssbench.metrics.runs import spread_of
from fssbench.metrics.summary import Summary
from fssbench.metrics.unknown import without_interval
from fssbench.protocols.own import protocol_of_record
from fssbench.protocols.rules import list_protocols, size_in_words
from fssbench.protocols.rules import protocol as protocol_of
from fssbench.results.ledger import ledger_of
from fssbench.results.lost import lost_in
from fssbench.results.summary import caveats_of_list, caveats_of_protocol, caveats_without_truth

if TYPE_CHECKING:
    from fssbench.results.record import FoldRecord, Run
    from fssbench.results.run_reader import Results


def caveats(results: Results, summary: Summary, lists: Sequence[EpisodeList]) -> list[str]:
    """Return the sentences that have to be printed with the numbers of a run.

    Args:
        results: The run.
        summary: Its metrics over the classes of the episodes.
        lists: Its episode lists; none if they are not at hand, and then nothing is said of them.
    """
    scored = results.run.protocol.task == "fscs"
    return [
        *_limit(results),
        *_shard(results),
        *caveats_of_list(results.run),
        *_runs(summary, results),
        *_lost(results),
        *_classes(results, summary),
        *caveats_without_truth(summary),
        *without_interval(summary, [name for name in summary.intervals if name != "exact_ratio" or scored]),
        *_training(results),
        *_seen(results),
        *_given(results),
        *_weights(results),
        *_models(results),
        *_code(results),
        *caveats_of_protocol(results.run),
        *(_lists(lists, results) if lists else ()),
    ]


def _training(results: Results) -> list[str]:
    """Return the caveats of weights that were trained on another data set: the test classes, and leaks."""
    run = results.run
    if run.train_dataset is None:
        return []
    found = []
    choice = run.dataset.options.get("test_classes")
    if choice is not None:
        found.append(f"test classes: {choice}, folds are those of {run.train_dataset}")
    if leaks_unknown(run.folds):
        found.append(f"which of the classes training on {run.train_dataset} has seen is not known")
    if leaks := describe_leaks(run):
        found.append(f"LEAK: this run {leaks}; its numbers are not those of unseen classes")
    return found


def _lists(lists: Sequence[EpisodeList], results: Results) -> list[str]:
    found = []
    known = [official(episodes) for episodes in lists]
    protocol = lists[0].protocol.partition("@")[0]
    orders = " and ".join(sorted({episodes.list_order for episodes in lists}))
    if all(known):
        found.append(f"episodes: those of {protocol}'s release")
    elif False in known:
        found.append(f"episodes: not those of {protocol}'s release, as the image lists differ; their order: {orders}")
    else:
        seeds = ", ".join(sorted({_seeds(episodes, results.run) for episodes in lists}))
        found.append(f"episodes: drawn by {protocol}, seed {seeds}, from image lists in order: {orders}")
    if any(episodes.data_fingerprint != results.run.dataset.fingerprint for episodes in lists):
        found.append("the list was drawn from other data than this: fssbench episodes verify shows how they differ")
    found += _repeated(lists, results)
    if short := [f"fold {episodes.fold}: {list(episodes.left_out)}" for episodes in lists if episodes.left_out]:
        found.append(f"not the protocol's own list: classes left out, {'; '.join(short)}")
    return found


def _repeated(lists: Sequence[EpisodeList], results: Results) -> list[str]:
    """For own data, return in how many episodes a support was drawn more than once, as HSNet's release allows."""
    if results.run.dataset.name != "folder":
        return []
    every = [episode for episodes in lists for episode in episodes]
    repeated = sum(any(len(set(names)) < len(names) for names in episode.supports) for episode in every)
    if not repeated:
        return []
    return [
        f"in {repeated} of {len(every)} episodes a support occurs more than once, so a class has fewer than "
        f"{lists[0].shot} different supports"
    ]


def _seeds(episodes: EpisodeList, run: Run) -> str:
    """Return the seed of a list, or the seeds of its runs."""
    if episodes.run_length is None or episodes.references is not None:
        return str(episodes.seed)
    if run.protocol.own is not None and run.protocol.name == episodes.protocol:
        rules = protocol_of_record(run.protocol.name, run.protocol.own)  # also where the file is not
    elif episodes.protocol.partition("@")[0] in list_protocols():
        rules = protocol_of(episodes.protocol)
    else:
        return f"{episodes.seed} and others"
    return " ".join(map(str, rules.run_seeds(episodes.seed, runs_in(episodes))))


def _runs(summary: Summary, results: Results) -> list[str]:
    """Return how the numbers of several runs are combined: papers print their mean or the best of them."""
    spread = spread_of(summary, "miou")
    if spread is None:
        return []
    length = results.run.folds[0].run_length
    if references := results.run.references:
        return [
            f"mIoU is the mean over {references} references, each the same {length} queries with other supports; "
            f"their standard deviation: {spread.mean:.2f} ± {spread.std:.2f}"
        ]
    return [
        f"{len(summary.runs)} runs of {length} episodes: mIoU is their mean with their standard "
        f"deviation, {spread.mean:.2f} ± {spread.std:.2f}"
    ]


def _limit(results: Results) -> list[str]:
    run = results.run
    if run.until is not None:
        return [run.until.describe()]
    cut = run.limit is not None and any(run.limit < fold.episodes for fold in run.folds)
    return [f"--limit: only the first {run.limit} episodes of each list were evaluated"] if cut else []


def _shard(results: Results) -> list[str]:
    if not results.run.is_shard:
        return []
    return [f"shard {results.run.as_shard}: only a part of each list, which fssbench merge combines with the others"]


def _lost(results: Results) -> list[str]:
    """Return in how many episodes an object has no pixel at the input size, or at the size where pixels are counted."""
    lost = lost_in(results.frame, results.run.protocol.task, absent=results.run.has_absent)
    size = size_in_words(results.run.protocol.input)
    found = []
    if lost.support_episodes:
        empty = f"; in {lost.empty_episodes} no support of a class has a pixel of it" if results.run.shot > 1 else ""
        found.append(
            f"in {lost.support_episodes} of {len(results.frame)} episodes a support has no pixel of its class at the "
            f"network's size, {size}: its mask is empty{empty}"
        )
    if lost.query_episodes:
        found.append(
            f"in {lost.query_episodes} of {len(results.frame)} episodes the query's object has no pixel at {size}, "
            f"where pixels are counted: no prediction can find it"
        )
    if lost.absent_episodes:
        found.append(
            f"in {lost.absent_episodes} of {len(results.frame)} episodes the query's label map has no pixel of the "
            f"class: no prediction can find it"
        )
    return found


def _classes(results: Results, summary: Summary) -> list[str]:
    short = [
        f"fold {fold.fold}: {len(fold.asked)} of {len(results.run.classes[fold.fold])} classes have episodes"
        for fold in summary.folds
        if len(fold.asked) < len(results.run.classes[fold.fold])
    ]
    if results.run.generalised:
        sizes = {fold.fold: len(fold.base_classes) for fold in results.run.folds}
        short += [
            f"fold {fold.fold}: {len(fold.base_classes)} of {sizes[fold.fold]} base classes are in the label maps"
            for fold in summary.folds
            if len(fold.base_classes) < sizes[fold.fold]
        ]
    if not short:
        return []
    numbers = f"mIoU is {summary.miou_all_classes:.2f}"
    if summary.base_miou_all_classes is not None:
        numbers = (
            f"novel mIoU is {summary.miou_all_classes:.2f}, base {summary.base_miou_all_classes:.2f}, "
            f"all {summary.total_miou_all_classes:.2f}"
        )
    return [f"incomplete, {'; '.join(short)}: with the others as 0, as releases count them, {numbers}"]


def _seen(results: Results) -> list[str]:
    """Return what makes numbers others than those of unseen classes, or of supports and their masks alone."""
    name, dataset = results.run.method.name, results.run.dataset.name
    facts, seen = ledger_of(results.run)
    found = []
    if name in REGISTRY.names() and method_info(name).knows_classes_of(dataset) and method_info(name).seen:
        found.append(f"LEAK: {method_info(name).seen}")
    elif seen.masks and not describe_leaks(results.run):
        found.append(f"LEAK: trained on masks of {named(seen.masks, seen.tested)}, which are tested")
    if facts.adapts not in (None, "none"):
        found.append(f"fitted to the {facts.adapts} at test time")
    given = fact_text(facts, "given", results.run.method.backbone)
    if facts.given and facts.given != ("masks",):
        found.append(f"given at test time: {given}")
    return found


def _given(results: Results) -> list[str]:
    """Return that supports are not looked at, and by which vectors names of classes are read."""
    run = results.run
    name, found = run.method.name, []
    rule = method_info(name).k_shot.get(run.method.task) if name in REGISTRY.names() else None
    if rule == "first" and run.shot > 1:
        found.append(f"{name} looks at the first of {run.shot} supports alone, as its release does")
    if (vectors := run.method.options.get("vectors")) is not None:
        found.append(f"names of classes are read as word vectors: {vectors}")
    return found


def _weights(results: Results) -> list[str]:
    random = any(fold.weights.kind == "random" for fold in results.run.folds)
    found = ["random weights: these numbers say nothing about the method"] if random else []
    folders = sorted({str(fold.weights.path) for fold in results.run.folds if fold.weights.kind == "predictions"})
    if folders:
        found.append(f"predictions: {len(results.frame)} label maps from {', '.join(folders)}, not computed here")
    if left := {fold.fold: fold.unanswered for fold in results.run.folds if fold.unanswered}:
        missing = ", ".join(f"{count} of fold {fold}" for fold, count in left.items())
        found.append(f"incomplete: episodes without a prediction are left out, {missing}")
    return found


def _models(results: Results) -> list[str]:
    """Return which models of the Hugging Face hub the weights are of."""
    models = dict.fromkeys(model for fold in results.run.folds for model in fold.weights.hub)
    return [f"weights of {model.describe()}" for model in models]


def describe_leaks(run: Run) -> str:
    """Return as text which tested classes the training has seen, by fold; empty if none is known."""
    found = [(fold.fold, fold.leaking) for fold in run.folds if fold.leaking]
    if not found:
        return ""
    folds = "; ".join(f"fold {fold}: {', '.join(names)}" for fold, names in found)
    return f"tests classes that training on {run.train_dataset} has seen, {folds}"


def leaks_unknown(folds: Sequence[FoldRecord]) -> bool:
    """Return whether it is unknown which tested classes the training has seen."""
    return any(fold.leaking is None for fold in folds)


def _code(results: Results) -> list[str]:
    method, dataset = results.run.method, results.run.dataset
    parts = ((method.name, method.package), (dataset.name, dataset.package))
    packages = [f"{name} is of the package {package.describe()}" for name, package in parts if package is not None]
    code = method.code
    if code is None:
        return packages
    whose = f"code of {code.path}, sha256 {(code.sha256 or '')[:12]}" if code.path else "code without a file"
    return [*packages, f"{method.name} is not a registered method: {whose}"]
