"""Features of images and supports, made once and kept for as long as they are worth their room."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from fssbench.checkpoints.hashes import encoder_sha256, state_sha256
from fssbench.engine.features import compiling
from fssbench.engine.features.cache import NEVER, FeatureCache
from fssbench.engine.features.loader import Loader, View
from fssbench.engine.profiling.timers import PREPARE_QUERY, StageTimers
from fssbench.episode import Episode, EpisodeList
from fssbench.fast.form import flag_of
from fssbench.fast.pytree import bytes_of, split_batch
from fssbench.methods.base.method import Method
from fssbench.protocols.rules import Protocol
from fssbench.protocols.transforms import support_mask

AnyMethod = Method[Any, Any]


@dataclass(frozen=True, eq=False)
class FoldJob:
    """A method and the episodes of one fold that it is evaluated on.

    Attributes:
        method: In eval mode, on its device.
        episodes: The list.
        protocol: The rules of counting, on the data set.
        numbers: Which of its episodes, in the order of work.
    """

    method: AnyMethod
    episodes: EpisodeList
    protocol: Protocol
    numbers: Sequence[int]

    @property
    def view(self) -> View:
        """How its method sees photos."""
        return View(self.protocol.input, self.protocol.resize)


Step = tuple[int, int]
"""Place of a job, number of an episode of it."""


@dataclass(frozen=True)
class Derived:
    """What a method makes of one image: the image as a query, or as a support of a class.

    Attributes:
        maker: Which method; those with the same weights share one, and of queries those that make them alike.
        encoder: Which encoder; methods with the same frozen backbone share one.
        view: How it sees the photo.
        image: Name of the image.
        class_id: Of a support the class; None for a query.
    """

    maker: int
    encoder: int
    view: View
    image: str
    class_id: int | None = None

    @property
    def source(self) -> tuple[int, View, str]:
        """What it is made of: encoder, view and image."""
        return self.encoder, self.view, self.image


class Features:
    """What methods make of images, for steps that are known beforehand.

    Args:
        jobs: Methods, and the episodes that each is evaluated on.
        steps: All episodes in the order of work.
        loader: Reads photos and label maps.
        budget: Bytes that may be kept between steps.
        device: Where methods compute.
        batch_size: How many images are encoded in one call.
        stages: Stopwatch.
        compiled: Whether `encode` is compiled first.
    """

    def __init__(
        self,
        jobs: Sequence[FoldJob],
        steps: Sequence[Step],
        loader: Loader,
        budget: int,
        device: torch.device,
        batch_size: int,
        stages: StageTimers,
        *,
        compiled: bool = False,
    ) -> None:
        self._jobs, self._steps, self._loader = jobs, steps, loader
        self._device, self._batch_size, self._stages = device, batch_size, stages
        # Weights are hashed only where there is somebody to share with.
        hashed = cache(encoder_sha256)  # by module: folds hold the same encoder
        identities = [_identity(its.method, hashed) if len(jobs) > 1 else (0, 0) for its in jobs]
        makers, encoders = ([its[part] for its in identities] for part in (0, 1))
        self._makers, self._encoders = [makers.index(its) for its in makers], [encoders.index(its) for its in encoders]
        # Those of a later fold are another's: what is asked again much later would take room from what is asked now.
        queries = [
            (its.episodes.fold, encoder, type(its.method).prepare_query)
            if flag_of(type(its.method), "query_of_features_alone", "prepare_query")
            else maker
            for its, maker, encoder in zip(jobs, self._makers, self._encoders, strict=True)
        ]
        self._query_makers = [queries.index(its) for its in queries]
        self._encode: dict[int, Callable[[Tensor], Any]] = {
            place: compiling.compiled(jobs[place].method.encode) if compiled else jobs[place].method.encode
            for place in set(self._encoders)
        }
        folds = [jobs[place].episodes.fold for place, _ in steps]
        self._fold_ends = [place for place in range(1, len(folds)) if folds[place] != folds[place - 1]] + [NEVER]
        uses: dict[Derived, list[int]] = {}
        for place in range(len(steps)):
            for key in self.needed(place):
                uses.setdefault(key, []).append(place)
        self._of_source: dict[tuple[int, View, str], list[Derived]] = {}
        for key in uses:
            self._of_source.setdefault(key.source, []).append(key)
        self.store: FeatureCache[Derived] = FeatureCache(budget, uses)
        self._largest: dict[tuple[int, bool], int] = {}
        self._lost: dict[tuple[View, str, int], bool] = {}

    def query(self, place: int) -> Derived:
        """Return the query of a step."""
        return self._key(self._steps[place][0], self._episode(place).query)

    def supports(self, place: int) -> list[list[Derived]]:
        """Return the supports of a step, by way and shot."""
        job, episode = self._steps[place][0], self._episode(place)
        return [
            [self._key(job, name, class_id) for name in names]
            for class_id, names in zip(episode.classes, episode.supports, strict=True)
        ]

    def lost_supports(self, place: int) -> tuple[int, ...] | None:
        """Return for each class of a step, made before, how many supports' masks are empty; None where none is."""
        lost = tuple(
            sum(self._lost[key.view, key.image, class_id] for key in shots)
            for shots, class_id in zip(self.supports(place), self._episode(place).classes, strict=True)
        )
        return lost if any(lost) else None

    def needed(self, place: int) -> list[Derived]:
        """Return all that a step needs, each once."""
        ways = self.supports(place)
        return list(dict.fromkeys([self.query(place), *(key for shots in ways for key in shots)]))

    def of(self, places: range) -> dict[Derived, Any]:
        """Return all that some consecutive steps need; what later ones need of the same images is kept, too.

        Raises:
            MissingError: If a photo or label map is not there.
            BrokenFileError: If one can't be read.
        """
        keys = list(dict.fromkeys(key for place in places for key in self.needed(place)))
        found: dict[Derived, Any] = {}
        missing: dict[tuple[int, View, str], list[Derived]] = {}
        for key in keys:
            value = self.store.get(key)
            if value is None:
                missing.setdefault(key.source, []).append(key)
            else:
                found[key] = value
        self.store.pass_by(found, places.stop)
        sources = list(missing)
        for start in range(0, len(sources), self._batch_size):
            for batch in _alike(sources[start : start + self._batch_size]):
                for source, raw in zip(batch, self._encoded(batch), strict=True):
                    self._derive(source, raw, missing[source], found, places.stop)
        return found

    def want(self, places: range) -> None:
        """Begin to read the photos of steps to come that have to be encoded."""
        wanted = dict.fromkeys(
            (key.view, key.image) for place in places for key in self.needed(place) if key not in self.store
        )
        self._loader.want(wanted)

    def _episode(self, place: int) -> Episode:
        job, number = self._steps[place]
        return self._jobs[job].episodes[number]

    def _key(self, job: int, name: str, class_id: int | None = None) -> Derived:
        maker = (self._query_makers if class_id is None else self._makers)[job]
        return Derived(maker, self._encoders[job], self._jobs[job].view, name, class_id)

    def _encoded(self, batch: Sequence[tuple[int, View, str]]) -> list[Any]:
        with self._stages.stage("decode"):
            images = torch.stack([self._loader.photo(view, name) for _, view, name in batch])
            images = images.to(self._device, non_blocking=True)
        with self._stages.stage("encode"):
            features = self._encode[batch[0][0]](images)
        self._stages.images += len(batch)
        return split_batch(features, len(batch))

    def _derive(
        self, source: tuple[int, View, str], raw: object, now: list[Derived], found: dict[Derived, Any], step: int
    ) -> None:
        """Make what is needed now, and what will be needed of the same image as far as there is room for it."""
        later = [
            key
            for key in self._of_source[source]
            if key not in now and key not in self.store and self.store.next_use(key, step) != NEVER
        ]
        for key in (*now, *later):
            if key not in now and not self._has_room(key, step):
                continue
            value = self._made(key, raw)
            self._largest[key.maker, key.class_id is None] = max(
                bytes_of(value), self._largest.get((key.maker, key.class_id is None), 0)
            )
            if key in now:
                found[key] = value
            self.store.put(key, value, step)

    def _has_room(self, key: Derived, step: int) -> bool:
        """Return whether what is needed later is to be made now. Later folds must not crowd out the one at work."""
        size = self._largest.get((key.maker, key.class_id is None), 0)
        end = self._fold_ends[bisect_right(self._fold_ends, step)]
        if self.store.next_use(key, step) < end:
            return self.store.has_room(size, end)
        # Once room was short, it would be made only to go again: what is needed latest goes first.
        return self.store.count.evicted == 0 and self.store.has_room(size)

    def _made(self, key: Derived, raw: object) -> Any:  # noqa: ANN401 - each method has its own type
        method = self._jobs[key.maker].method
        # A copy, since a method may note in features what it has computed of them, and others read them too.
        own = copy.copy(raw) if len(self._jobs) > 1 else raw
        if key.class_id is None:
            with self._stages.stage(PREPARE_QUERY):
                return method.prepare_query(own)
        with self._stages.stage("decode"):
            label = self._loader.label(key.image)
            resized = support_mask(label, key.class_id, key.view.size, key.view.rule)
            self._lost[key.view, key.image, key.class_id] = not (resized == 1).any()
            mask = torch.from_numpy(resized)[None].to(self._device)
        with self._stages.stage("condition"):
            return method.condition(own, mask)


def _alike(sources: Sequence[tuple[int, View, str]]) -> list[list[tuple[int, View, str]]]:
    """Return sources in groups of one encoder and view."""
    groups: dict[tuple[int, View], list[tuple[int, View, str]]] = {}
    for source in sources:
        groups.setdefault(source[:2], []).append(source)
    return list(groups.values())


def _identity(method: AnyMethod, hashed: Callable[[nn.Module], str]) -> tuple[object, object]:
    """Return what decides all that a method makes of an image, and what decides its `encode`."""
    own = (type(method), _arguments(method), state_sha256(method))
    encoder = method.shared_encoder
    return own, own if encoder is None else (type(method).encode, type(encoder), hashed(encoder))


def _arguments(method: AnyMethod) -> object:
    if method.built is None:
        return id(method)
    return method.built.variant, method.built.backbone, repr(sorted(method.built.options.items()))
