"""The methods of a run's folds: one module that loads one fold after the other, or one module for each fold.

The released checkpoints of a method share their frozen backbone. Then a further fold costs only the memory of its head,
and all folds can be evaluated together. If each fold has its own backbone, one module loads the weights of the current
fold, so that memory stays that of one fold.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from fssbench.checkpoints.hashes import encoder_sha256
from fssbench.engine.features.jobs import AnyMethod
from fssbench.planning.weights import Source

if TYPE_CHECKING:
    from fssbench.methods.base.method import Method


@dataclass(frozen=True, eq=False)
class FoldMethods:
    """The method of each fold.

    Attributes:
        method_of: Returns the method of a fold.
        all_in_memory: Whether the methods of all folds exist at the same time. If not, each call of `method_of`
            replaces the weights of the fold before.
    """

    method_of: Callable[[int], AnyMethod]
    all_in_memory: bool


def fold_methods(
    method: AnyMethod, sources: Mapping[int, Source], shared: dict[object, nn.Module] | None = None
) -> FoldMethods:
    """Load the weights of all folds once, so that errors come first, and return the method of each fold.

    Args:
        method: Built for these weights. Afterwards it holds those of the first fold.
        sources: Where the weights of each fold come from.
        shared: Encoders of other methods, of which an equal one takes the place of this method's, so that it is in
            memory once; this method's encoder is added. Not where each fold loads an encoder of its own.

    Raises:
        CheckpointError: If weights do not fit.
    """
    loader, encoder = _WeightLoader(method), method.shared_encoder
    first = next(iter(sources.values())).paths
    several = any(source.paths != first for source in sources.values())
    encoders: set[str] = set()
    methods = {first: method}
    # The first fold comes last, so that its weights need not be read again.
    for source in reversed(list(sources.values())):
        loader.load(source)
        if several and encoder is not None and len(encoders) < 2:
            encoders.add(encoder_sha256(encoder))
            if source.paths not in methods:
                methods[source.paths] = copy_sharing_encoder(method, encoder)
    if several and len(encoders) != 1:
        return FoldMethods(lambda fold: loader.load(sources[fold]), all_in_memory=False)
    if shared is not None and encoder is not None:
        share_encoder(list(methods.values()), encoder, shared)
    return FoldMethods(lambda fold: methods[sources[fold].paths], all_in_memory=True)


def copy_sharing_encoder(method: AnyMethod, encoder: nn.Module) -> AnyMethod:
    """Return a copy of a method that shares the modules of the encoder and has its own copy of all other modules."""
    return copy.deepcopy(method, {id(part): part for part in encoder.modules()})


def share_encoder(methods: Sequence[AnyMethod], encoder: nn.Module, shared: dict[object, nn.Module]) -> None:
    """Put an equal encoder of another method in the place of that of some methods, or add it to the known ones.

    Equal are encoders of one class, with the same layers and the same weights, that are called by the same `encode`.
    """
    key = (type(methods[0]).encode, type(encoder), repr(encoder), encoder_sha256(encoder))
    known = shared.setdefault(key, encoder)
    holders = [module for method in methods for module in method.modules()]
    for module in holders:
        for name, part in list(module.named_children()):
            if part is encoder:
                setattr(module, name, known)


class _WeightLoader:
    """Loads weights into a method, but not the weights that it holds already.

    Args:
        method: Built for all weights that will be loaded.
    """

    def __init__(self, method: AnyMethod) -> None:
        self._method = method
        self._paths: tuple[Path, ...] = ()

    def load(self, source: Source) -> AnyMethod:
        """Return the method with these weights.

        Raises:
            CheckpointError: If they do not fit.
        """
        if source.paths != self._paths:
            load(self._method, source)
            self._paths = source.paths
        return self._method


def load(method: Method[Any, Any], source: Source) -> None:
    """Load weights into a method that was built for them. Random weights and missing weights load nothing.

    Raises:
        CheckpointError: If they do not fit.
    """
    if source.paths:
        from fssbench.checkpoints import load_into

        load_into(method, *source.paths)
