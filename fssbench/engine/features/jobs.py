"""What is evaluated of one fold, and which of several such jobs compute the same from an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import nn

from fssbench.checkpoints.hashes import encoder_sha256, state_sha256
from fssbench.engine.features.loader import InputTransform
from fssbench.episode import EpisodeList
from fssbench.fast.form import flag_of
from fssbench.methods.base.method import Method
from fssbench.methods.catalogue import list_methods
from fssbench.protocols.rules import Protocol

AnyMethod = Method[Any, Any]


@dataclass(frozen=True, eq=False)
class FoldJob:
    """A method and the episodes of one fold that it is evaluated on.

    Attributes:
        method: In eval mode, on its device.
        episodes: The list.
        protocol: The counting rules for the data set.
        numbers: Which episodes of the list, in the order of evaluation.
    """

    method: AnyMethod
    episodes: EpisodeList
    protocol: Protocol
    numbers: Sequence[int]

    @property
    def transform(self) -> InputTransform:
        """How images are brought to the method's input size."""
        return InputTransform(self.protocol.input, self.protocol.resize, self.protocol.query_rim)


@dataclass(frozen=True)
class SameParts:
    """For each job a number; jobs with the same number compute the same.

    Attributes:
        producers: Of an image and its mask as a support: methods with the same weights.
        encoders: Of an image: methods with the same frozen backbone.
        queries: Of an image as a query: methods that prepare queries in the same way.
    """

    producers: list[int]
    encoders: list[int]
    queries: list[int]


def same_parts(jobs: Sequence[FoldJob]) -> SameParts:
    """Return which jobs compute the same. Weights are hashed only if there are several jobs."""
    hashed = cache(encoder_sha256)  # cached by module, since folds and methods may share one encoder
    identities = [_identity(job.method, hashed) if len(jobs) > 1 else (0, 0) for job in jobs]
    producers, encoders = ([identity[part] for identity in identities] for part in (0, 1))
    numbers = [producers.index(one) for one in producers], [encoders.index(one) for one in encoders]
    # Folds do not share queries: features for a later fold would fill the cache that the current fold needs.
    queries = [
        (job.episodes.fold, encoder, type(job.method).prepare_query, type(job.method).leave_out)
        if flag_of(type(job.method), "query_of_features_alone", "prepare_query")
        else producer
        for job, producer, encoder in zip(jobs, *numbers, strict=True)
    ]
    return SameParts(*numbers, [queries.index(one) for one in queries])


def _identity(method: AnyMethod, hashed: Callable[[nn.Module], str]) -> tuple[object, object]:
    """Return what decides all that a method computes from an image, and what decides its `encode`."""
    own = (type(method), _arguments(method), state_sha256(method))
    encoder = method.shared_encoder
    if encoder is None:
        return own, own
    return own, (type(method).encode, type(encoder), hashed(encoder), method.encoded_with)


def _arguments(method: AnyMethod) -> object:
    if method.built is None:
        return id(method)
    built = method.built
    # A method from outside may condition supports for its number of shots, whatever it says.
    known = built.name in list_methods() and method.info is None
    shot = None if known and not method.conditions_by_shot else built.shot
    return built.variant, built.backbone, repr(sorted(built.options.items())), shot
