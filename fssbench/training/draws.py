"""Draws the training episodes, which are of base classes. No torch, no pixels.

The episodes of a step depend only on the seed, the stage and the number of the step. So a training that is resumed
continues with the same episodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fssbench.datasets.dataset import Dataset
from fssbench.episode.episode import Episode
from fssbench.episode.samplers.lists import area_rule, read_lists
from fssbench.errors import MissingError, UsageError
from fssbench.training.recipe import TrainingLists


@dataclass(frozen=True)
class EpisodeSampler:
    """Draws episodes from the lists of the base classes.

    Attributes:
        lists: For each base class the names of its images, more than `shot` of them.
        seed: Seed of the draw.
        way: N.
        shot: K; 0 for learning from single images.
        task: "fss": the query holds the class; "fscs": it may hold none, some or all of the N classes.
        stage: Number of the stage, from 0; each stage draws different episodes.
    """

    lists: Mapping[int, tuple[str, ...]]
    seed: int
    way: int = 1
    shot: int = 1
    task: Literal["fss", "fscs"] = "fss"
    stage: int = 0

    @classmethod
    def of_fold(
        cls,
        dataset: Dataset,
        fold: int,
        seed: int,
        *,
        way: int = 1,
        shot: int = 1,
        task: Literal["fss", "fscs"] = "fss",
        stage: int = 0,
        rule: TrainingLists = "data set's",
    ) -> EpisodeSampler:
        """Return the sampler of a fold's training lists, which hold base classes only.

        Raises:
            MissingError: If no class has enough images.
            UsageError: If there is no such fold, or it has fewer classes than ways.
        """
        lists = usable_lists(training_lists(dataset, fold, rule), shot)
        if not lists:
            reason = area_rule(
                "2048 pixels" if "2048 pixels" in rule else "data set's",
                dataset,
                "train",
                dataset.fold_classes(fold, "train"),
            )
            raise MissingError(
                f"{dataset.name} fold {fold} lists no class with {_image_count(shot)}: "
                + (reason or "so there is nothing to train on"),
                '--config FILE, a recipe with lists = "data set\'s"' if reason else dataset.check_command,
            )
        if way > len(lists):
            raise UsageError(f"{dataset.name} fold {fold} has {len(lists)} classes to train on, not {way}")
        return cls(lists, seed, way, shot, task, stage)

    def generator(self, step: int) -> np.random.Generator:
        """Return the random numbers of a step; the episodes use the first of them."""
        return np.random.default_rng([self.seed, step, self.stage] if self.stage else [self.seed, step])

    def draw(self, rng: np.random.Generator, count: int, query_weight: float = 0.5) -> list[Episode]:
        """Draw `count` episodes: the class of the query, uniformly, then different images.

        FS-CS as iFSL trains (fs-cs/data at d0b0c0d): in the draw of the N classes the query's class has half of the
        weight, or `query_weight`; the other classes share the rest.
        """
        classes = list(self.lists)
        choices = [int(choice) for choice in rng.integers(len(classes), size=count)]
        if self.task == "fscs":
            return [self._fscs_episode(rng, classes, classes[choice], query_weight) for choice in choices]
        return [self._segmentation_episode(rng, classes[choice]) for choice in choices]

    def _segmentation_episode(self, rng: np.random.Generator, class_id: int) -> Episode:
        names = self.lists[class_id]
        query, *supports = rng.choice(len(names), size=1 + self.shot, replace=False)
        return Episode(names[query], (class_id,), (tuple(names[place] for place in supports),), class_id)

    def _fscs_episode(
        self, rng: np.random.Generator, classes: list[int], query_class: int, query_weight: float
    ) -> Episode:
        names = self.lists[query_class]
        query = names[rng.integers(len(names))]
        others = max(1, len(classes) - 1)
        weights = np.array(
            [query_weight if class_id == query_class else (1.0 - query_weight) / others for class_id in classes]
        )
        places = rng.choice(len(classes), size=self.way, replace=False, p=weights / weights.sum())
        drawn = tuple(classes[place] for place in places)
        return Episode(query, drawn, tuple(self._supports(rng, class_id, query) for class_id in drawn), query_class)

    def _supports(self, rng: np.random.Generator, class_id: int, query: str) -> tuple[str, ...]:
        names = [name for name in self.lists[class_id] if name != query]
        return tuple(names[place] for place in rng.choice(len(names), size=self.shot, replace=False))


def training_lists(dataset: Dataset, fold: int, rule: TrainingLists) -> Mapping[int, Sequence[str]]:
    """Return for each base class of a fold the images that it is learned from; see `Recipe.lists`."""
    if rule == "data set's":
        return dataset.class_lists(fold, "train")
    base = dataset.fold_classes(fold, "train")
    if rule == "every image":
        # BAM's SemData uses its whole list, and its Crop counts the pixels of label 1, the first base class.
        return {base[0]: list(dict.fromkeys(dataset.index("train")["name"]))}
    if rule == "2048 pixels, images alike":
        listed = read_lists(dataset, fold, "train", base, "2048 pixels")
        return {base[0]: list(dict.fromkeys(name for name, _ in listed.entries))}
    lists: Mapping[int, Sequence[str]] = dataset.class_lists(fold, "train")
    if rule != "data set's, base alone":
        lists = read_lists(dataset, fold, "train", base, "2048 pixels").by_class
    if rule == "2048 pixels":
        return lists
    index = dataset.index("train")
    stray = set(index["name"][~index["class_id"].isin(base)])
    return {class_id: [name for name in names if name not in stray] for class_id, names in lists.items()}


def usable_lists(lists: Mapping[int, Sequence[str]], shot: int) -> dict[int, tuple[str, ...]]:
    """Return the classes that have enough images for a query and K supports, each image once."""
    once = {class_id: tuple(dict.fromkeys(names)) for class_id, names in lists.items()}
    return {class_id: names for class_id, names in once.items() if len(names) > shot}


def _image_count(shot: int) -> str:
    return {0: "a training image", 1: "two training images"}.get(shot, f"{shot + 1} training images")
