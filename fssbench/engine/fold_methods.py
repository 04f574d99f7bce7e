"""The methods that answer the folds of a run: one module that loads one fold after the other, or one for each fold.

The released checkpoints of a method share their frozen backbone. Then each fold costs only its head, and the work of
all folds can be planned as one. Where the backbone was trained on each fold, one module holds the weights of the fold
whose turn it is, so that memory stays that of one fold.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from fssbench.checkpoints.hashes import encoder_sha256
from fssbench.engine.features.features import AnyMethod
from fssbench.planning.weights import Source

if TYPE_CHECKING:
    from fssbench.methods.base.method import Method


@dataclass(frozen=True, eq=False)
class FoldMethods:
    """What answers each fold.

    Attributes:
        of: Gives the method of a fold.
        together: Whether all folds' methods are there at once; otherwise giving one takes the weights from the last.
    """

    of: Callable[[int], AnyMethod]
    together: bool


def fold_methods(method: AnyMethod, sources: Mapping[int, Source]) -> FoldMethods:
    """Try the weights of all folds, and return what answers each.

    Args:
        method: Built for all of them; it holds the first fold's weights afterwards.
        sources: Where each fold's weights come from.

    Raises:
        CheckpointError: If weights do not fit.
    """
    held, encoder = _Held(method), method.shared_encoder
    first = next(iter(sources.values())).paths
    several = any(source.paths != first for source in sources.values())
    encoders: set[str] = set()
    methods = {first: method}
    # The first fold's are tried last, so that they need not be read again.
    for source in reversed(list(sources.values())):
        held.load(source)
        if several and encoder is not None and len(encoders) < 2:
            encoders.add(encoder_sha256(encoder))
            if source.paths not in methods:
                methods[source.paths] = copy_sharing_encoder(method, encoder)
    if several and len(encoders) != 1:
        return FoldMethods(lambda fold: held.load(sources[fold]), together=False)
    return FoldMethods(lambda fold: methods[sources[fold].paths], together=True)


def copy_sharing_encoder(method: AnyMethod, encoder: nn.Module) -> AnyMethod:
    """Return a method with the same weights that holds the very modules of an encoder, and copies of all others."""
    return copy.deepcopy(method, {id(part): part for part in encoder.modules()})


class _Held:
    """The weights that a method holds; what it holds already is not read again.

    Args:
        method: Built for all that will be loaded.
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
    """Load weights into a method that was built for them; random weights and none need nothing.

    Raises:
        CheckpointError: If they do not fit.
    """
    if source.paths:
        from fssbench.checkpoints import load_into

        load_into(method, *source.paths)
