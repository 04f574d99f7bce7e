"""Computes features of queries and supports once, and caches them for later episodes."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fssbench.engine.features import compiling
from fssbench.engine.features.cache import NEVER, FeatureCache
from fssbench.engine.features.copying import Copies
from fssbench.engine.features.jobs import AnyMethod, FoldJob, SameParts
from fssbench.engine.features.loader import InputTransform, Loader
from fssbench.engine.features.stored_encoder import StoredEncoder, rounded
from fssbench.engine.profiling.timers import PREPARE_QUERY, StageTimers
from fssbench.episode import Episode
from fssbench.fast.pytree import bytes_of, mapped, split_batch
from fssbench.methods.base.method import Method
from fssbench.protocols.label_maps import ignored_pixels, support_mask

Step = tuple[int, int]
"""The index of a job, and the number of one of its episodes."""


@dataclass(frozen=True)
class FeatureKey:
    """Identifies what a method computes from one image: as a query, or as a support of a class.

    Attributes:
        producer: The method. Methods with the same weights share a number; for queries, so do methods
            that prepare them in the same way.
        encoder: The encoder. Methods with the same frozen backbone share a number.
        transform: How the image is brought to the input size.
        image: Name of the image.
        class_id: The class of a support; None for a query.
        others: The other classes of its episode, rising, where the protocol puts them on neither side of its mask.
    """

    producer: int
    encoder: int
    transform: InputTransform
    image: str
    class_id: int | None = None
    others: tuple[int, ...] = ()

    @property
    def source(self) -> tuple[int, InputTransform, str]:
        """The input from which it is computed: encoder, transform and image."""
        return self.encoder, self.transform, self.image


class Features:
    """The features that methods compute from images, for steps that are known in advance.

    Args:
        jobs: Methods, and the episodes that each is evaluated on.
        same: Which of them compute the same.
        steps: All episodes in the order of evaluation.
        loader: Reads photos and label maps.
        budget: Bytes that may be cached between steps.
        device: Where methods compute.
        batch_size: How many images are encoded in one call.
        timers: Measures the time of each stage.
        compiled: Whether `encode` is compiled first.
        channels_last: Whether `encode` is given images in that layout.
        stored: Of encoders, by their numbers in `same`, the store of their features.
        rounds: Whether features are rounded to float16.
        looks: After how many episodes of each list the evaluation may end.
        between: Called after each image from which something was computed.
    """

    def __init__(
        self,
        jobs: Sequence[FoldJob],
        same: SameParts,
        steps: Sequence[Step],
        loader: Loader,
        budget: int,
        device: torch.device,
        batch_size: int,
        timers: StageTimers,
        *,
        compiled: bool = False,
        channels_last: bool = False,
        stored: Mapping[int, StoredEncoder] | None = None,
        rounds: bool = False,
        looks: Sequence[int] = (),
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self._stored, self._rounds, self._between = stored or {}, rounds, between
        self._jobs, self._steps, self._loader = jobs, steps, loader
        self._device, self.batch_size, self._timers = device, batch_size, timers
        self._copies, self._channels_last = Copies(device, channels_last=channels_last), channels_last
        self._producers, self._encoders, self._query_producers = same.producers, same.encoders, same.queries
        self._encode: dict[int, Callable[[Tensor], Any]] = {
            index: compiling.compiled(jobs[index].method.encode) if compiled else jobs[index].method.encode
            for index in set(self._encoders)
        }
        parts = [(bisect_right(looks, number), jobs[index].episodes.fold) for index, number in steps]
        self._part_ends = [index for index in range(1, len(parts)) if parts[index] != parts[index - 1]] + [NEVER]
        uses: dict[FeatureKey, list[int]] = {}
        for index in range(len(steps)):
            for key in self.needed(index):
                uses.setdefault(key, []).append(index)
        self._keys_by_source: dict[tuple[int, InputTransform, str], list[FeatureKey]] = {}
        for key in uses:
            self._keys_by_source.setdefault(key.source, []).append(key)
        self.cache: FeatureCache[FeatureKey] = FeatureCache(budget, uses)
        self._largest: dict[tuple[int, bool], int] = {}
        self._empty_masks: dict[tuple[InputTransform, str, int | None], bool] = {}

    def query(self, index: int) -> FeatureKey:
        """Return the key of a step's query."""
        return self._key(self._steps[index][0], self._episode(index).query)

    def supports(self, index: int) -> list[list[FeatureKey]]:
        """Return the keys of the supports that a step's method looks at, by way and shot."""
        read = self._jobs[self._steps[index][0]].method.shots_read
        return [shots[:read] for shots in self._all_supports(index)]

    def _all_supports(self, index: int) -> list[list[FeatureKey]]:
        job, episode = self._steps[index][0], self._episode(index)
        apart = self._jobs[job].protocol.other_classes == "neither"
        return [
            [
                self._key(job, name, class_id, tuple(sorted({*episode.classes} - {class_id})) if apart else ())
                for name in names
            ]
            for class_id, names in zip(episode.classes, episode.supports, strict=True)
        ]

    def lost_supports(self, index: int) -> tuple[int, ...] | None:
        """Return for each class of a past step how many support masks are empty at the input size; None if none is.

        Supports that the method does not look at count, too: rows tell what the episode has.
        """
        lost = tuple(sum(map(self._is_empty, shots)) for shots in self._all_supports(index))
        return lost if any(lost) else None

    def _is_empty(self, key: FeatureKey) -> bool:
        if (key.transform, key.image, key.class_id) not in self._empty_masks:
            self._mask(key)
        return self._empty_masks[key.transform, key.image, key.class_id]

    def _mask(self, key: FeatureKey) -> npt.NDArray[np.uint8]:
        """Return the mask of a support at the input size, and note whether it is empty."""
        assert key.class_id is not None  # noqa: S101 - of a support
        label = self._loader.label(key.image)
        resized = support_mask(label, key.class_id, key.transform.size, key.transform.rule, key.others)
        self._empty_masks[key.transform, key.image, key.class_id] = not (resized == 1).any()
        return resized

    def needed(self, index: int) -> list[FeatureKey]:
        """Return all keys that a step needs, each once."""
        ways = self.supports(index)
        return list(dict.fromkeys([self.query(index), *(key for shots in ways for key in shots)]))

    def get(self, indices: range) -> dict[FeatureKey, Any]:
        """Return all features that consecutive steps need, and cache those that later steps need of the same images.

        Raises:
            MissingError: If a photo or label map is missing.
            BrokenFileError: If one can't be read.
        """
        keys = list(dict.fromkeys(key for index in indices for key in self.needed(index)))
        found: dict[FeatureKey, Any] = {}
        missing: dict[tuple[int, InputTransform, str], list[FeatureKey]] = {}
        for key in keys:
            value = self.cache.get(key)
            if value is None and key not in self.cache:  # some methods make nothing of an image
                missing.setdefault(key.source, []).append(key)
            else:
                found[key] = value
        self.cache.mark_used(found, indices.stop)
        sources = list(missing)
        for start in range(0, len(sources), self.batch_size):
            for batch in _group_by_encoder(sources[start : start + self.batch_size]):
                for source, raw in zip(batch, self._encoded(batch), strict=True):
                    self._derive(source, raw, missing[source], found, indices.stop)
                    self._between()
        return found

    def prefetch(self, indices: range) -> None:
        """Start reading the photos that coming steps have to encode."""
        photos = dict.fromkeys(
            (key.transform, key.image) for index in indices for key in self.needed(index) if key not in self.cache
        )
        self._loader.prefetch(photos)

    def _episode(self, index: int) -> Episode:
        job, number = self._steps[index]
        return self._jobs[job].episodes[number]

    def _key(self, job: int, name: str, class_id: int | None = None, others: tuple[int, ...] = ()) -> FeatureKey:
        producer = (self._query_producers if class_id is None else self._producers)[job]
        return FeatureKey(producer, self._encoders[job], self._jobs[job].transform, name, class_id, others)

    def _encoded(self, batch: Sequence[tuple[int, InputTransform, str]]) -> list[Any]:
        encoder = batch[0][0]
        with self._timers.stage("decode"):
            read = [self._loader.image(transform, name) for _, transform, name in batch]
        stored = self._stored.get(encoder)
        if stored is None:
            return self._encode_all(encoder, read)
        with self._timers.stage("decode"):
            keys = list(map(stored.key, read))
            found = list(map(stored.get, keys))
        for place, (key, image) in enumerate(zip(keys, read, strict=True)):
            if found[place] is None:
                # Alone: in a call of several, the last bits of some networks depend on how many there are.
                (found[place],) = self._encode_all(encoder, [image])
                stored.put(key, found[place])
        return found

    def _encode_all(self, encoder: int, read: Sequence[Tensor]) -> list[Any]:
        found: list[Any] = []
        for _, equal in groupby(read, key=lambda image: image.shape):
            with self._timers.stage("decode"):
                images = self._copies.batch(list(equal))
            with self._timers.stage("encode"):
                features = self._encode[encoder](images)
                features = rounded(features) if self._rounds else features
            if self._channels_last:  # in the usual layout, in which methods take views of them
                features = mapped(features, Tensor.contiguous)
            found += split_batch(features, len(images))
        self._timers.images += len(read)
        return found

    def _derive(
        self,
        source: tuple[int, InputTransform, str],
        raw: object,
        now: list[FeatureKey],
        found: dict[FeatureKey, Any],
        step: int,
    ) -> None:
        """Compute what is needed now from an image, and what later steps need of it, if the cache has space."""
        later = [
            key
            for key in self._keys_by_source[source]
            if key not in now and key not in self.cache and self.cache.next_use(key, step) != NEVER
        ]
        for key in (*now, *later):
            if key not in now and not self._worth_computing(key, step):
                continue
            value = self._compute(key, raw)
            self._largest[key.producer, key.class_id is None] = max(
                bytes_of(value), self._largest.get((key.producer, key.class_id is None), 0)
            )
            if key in now:
                found[key] = value
            self.cache.put(key, value, step)

    def _worth_computing(self, key: FeatureKey, step: int) -> bool:
        """Return whether to compute a value for later use now. Later folds and looks must not displace this one."""
        size = self._largest.get((key.producer, key.class_id is None), 0)
        end = self._part_ends[bisect_right(self._part_ends, step)]
        if self.cache.next_use(key, step) < end:
            return self.cache.fits(size, end)
        # If the cache is full already, a value for a later part would be evicted at once: its next use is the latest.
        return self.cache.counts.evicted == 0 and self.cache.fits(size)

    def _compute(self, key: FeatureKey, raw: object) -> Any:  # noqa: ANN401 - each method has its own type
        method = self._jobs[key.producer].method
        # A copy, because a method may store results in the features, which other methods read too.
        own = copy.copy(raw) if len(self._jobs) > 1 else raw
        if key.class_id is None:
            with self._timers.stage(PREPARE_QUERY):
                query = method.prepare_query(own)
            return query if type(method).leave_out is Method.leave_out else self._without_ignored(method, key, query)
        with self._timers.stage("decode"):
            mask = torch.from_numpy(self._mask(key))[None].to(self._device)
        with self._timers.stage("condition"):
            support = method.condition(own, mask)
            if method.reads_class_names:
                support = method.with_names(support, [self._loader.class_name(key.class_id)])
            return support

    def _without_ignored(self, method: AnyMethod, key: FeatureKey, query: object) -> object:
        """Return a query that knows its padding and, if the protocol gives them, its pixels labelled 255."""
        transform = key.transform
        with self._timers.stage("decode"):
            label = self._loader.label(key.image)
            ignored = ignored_pixels(label, transform.size, transform.rule, rim=transform.query_rim == "given")
        if not ignored.any():
            return query
        with self._timers.stage(PREPARE_QUERY):
            return method.leave_out(query, torch.from_numpy(ignored)[None].to(self._device))


def _group_by_encoder(
    sources: Sequence[tuple[int, InputTransform, str]],
) -> list[list[tuple[int, InputTransform, str]]]:
    """Return sources in groups of the same encoder and transform."""
    groups: dict[tuple[int, InputTransform], list[tuple[int, InputTransform, str]]] = {}
    for source in sources:
        groups.setdefault(source[:2], []).append(source)
    return list(groups.values())
