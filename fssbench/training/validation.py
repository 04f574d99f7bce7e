"""Validation during training: episodes that the evaluation engine predicts."""

from __future__ import annotations

import torch

from fssbench.datasets.dataset import Dataset
from fssbench.engine.features.jobs import AnyMethod
from fssbench.engine.loop import rows_of
from fssbench.episode import EpisodeList, episodes
from fssbench.episode.listed import lists_of
from fssbench.errors import MissingError
from fssbench.metrics.summary import summarise
from fssbench.protocols.rules import Protocol
from fssbench.results.rows import frame_of
from fssbench.training.draws import EpisodeSampler, usable_lists
from fssbench.training.recipe import Recipe, Validation


class Validator:
    """Evaluates a method on the same episodes at every call.

    Args:
        dataset: The opened data set.
        fold: The fold whose classes are not trained.
        recipe: A recipe with a validation.
        rules: The counting rules.
        device: Where to compute.
    """

    def __init__(self, dataset: Dataset, fold: int, recipe: Recipe, rules: Protocol, device: str) -> None:
        if recipe.validation is None:
            raise ValueError("a recipe without validation")
        self._dataset, self._rules, self._device = dataset, rules, torch.device(device)
        self._measure = recipe.validation.measure
        way, shot = recipe.way, max(1, recipe.shot)
        self.episodes = validation_episodes(dataset, fold, recipe.validation, rules, way, shot)

    def __call__(self, method: AnyMethod) -> float:
        """Return the measure in per cent; the method is left in eval mode."""
        rows = rows_of(
            method.eval(), self._dataset, self.episodes, self._rules, range(len(self.episodes)), self._device
        )
        summary = summarise(frame_of(rows), draws=0)
        return summary.exact_ratio if self._measure == "exact_ratio" else summary.miou


def validation_episodes(
    dataset: Dataset, fold: int, recipe: Validation, rules: Protocol, way: int, shot: int
) -> EpisodeList:
    """Return the episodes of a validation.

    Raises:
        MissingError: If no base class has enough images without other classes.
    """
    if recipe.classes == "novel":
        count = recipe.episodes
        if recipe.rounds is not None:
            lists = lists_of(dataset, fold, recipe.split, rules.on(dataset.name))
            count = min(count, recipe.rounds * len({name for name, _ in lists.entries}))
        return episodes(dataset, fold, way, shot, rules.name, count, recipe.seed, recipe.split)
    sampler = EpisodeSampler(base_lists(dataset, fold, recipe, shot), recipe.seed, way, shot, rules.task)
    return EpisodeList(
        episodes=tuple(sampler.draw(sampler.generator(0), recipe.episodes)),
        dataset=dataset.name,
        fold=fold,
        split=recipe.split,
        way=way,
        shot=shot,
        protocol="none",
        seed=recipe.seed,
        list_order=dataset.list_order,
        data_fingerprint=dataset.fingerprint,
    )


def base_lists(dataset: Dataset, fold: int, recipe: Validation, shot: int) -> dict[int, tuple[str, ...]]:
    """Return for each base class the images of the validation's split that hold base classes only.

    Raises:
        MissingError: If no class has K + 1 of them.
    """
    base = dataset.fold_classes(fold, "train")
    index = dataset.index(recipe.split)
    stray = set(index["name"][~index["class_id"].isin(base)])
    admitted = index[~index["name"].isin(stray)]
    lists: dict[int, list[str]] = {class_id: [] for class_id in base}
    for name, class_id in zip(admitted["name"], admitted["class_id"], strict=True):
        lists[int(class_id)].append(str(name))
    usable = usable_lists(lists, shot)
    if not usable:
        raise MissingError(
            f"{dataset.name} has no images of base classes of fold {fold} for validation",
            "use a recipe without validation",
        )
    return usable
