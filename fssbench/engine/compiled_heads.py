"""Compiles the parts of a head whose tensors have the same shapes in every episode (`--compile-heads`).

On a graphics card `mode="reduce-overhead"` makes CUDA graphs of them: the card is given all kernels of a call at once,
and does not wait for the host to launch each.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fssbench.engine.features.compiling import compiler_reason
from fssbench.engine.features.jobs import AnyMethod
from fssbench.fast.form import shallow_copy
from fssbench.fast.pytree import mapped, tensors_of

_LOG = logging.getLogger(__name__)

Compile = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Returns a compiled function."""

MOST_SHAPES = 4
"""For how many shapes a step is compiled. Batches keep their size, which is halved where memory runs out."""


def by_torch(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return a step that is compiled at its first call, on a graphics card as a CUDA graph."""
    ready: Callable[..., Any] = torch.compile(step, fullgraph=True, dynamic=False, mode="reduce-overhead")
    return ready


def compiled_head(form: AnyMethod, compile_step: Compile = by_torch) -> AnyMethod:
    """Return a form that shares everything with another, except that `Method.fixed_shapes` are compiled.

    A form without such steps is returned unchanged, with a warning.

    Args:
        form: In eval mode, on its device.
        compile_step: How a step is compiled.
    """
    name = form.built.name if form.built is not None else type(form).__name__
    if not form.fixed_shapes:
        _LOG.warning("--compile-heads: the head of %s has no part of fixed shapes, and is computed without it", name)
        return form
    own = shallow_copy(form)
    for step in form.fixed_shapes:
        network, _, method = step.rpartition(".")
        owner = _own_network(own, network) if network else own
        vars(owner)[method] = CompiledStep(f"{step} of {name}", getattr(owner, method), compile_step)
    return own


class CompiledStep:
    """A step that is compiled for the shapes that come again, `MOST_SHAPES` at most; others are computed as they are.

    Shapes that come once, such as those of the last episodes of a list, which fill no batch, would cost more to compile
    than they save. A step that torch can't compile is computed as it is from then on, with a warning.

    Args:
        title: For the warning.
        step: Takes trees of tensors (`fssbench.fast.pytree`), and returns one.
        compile_step: See `compiled_head`.
    """

    def __init__(self, title: str, step: Callable[..., Any], compile_step: Compile) -> None:
        self._title, self._step = title, step
        self._compiled: Callable[..., Any] | None = compile_step(_with_own_code(step))
        self._known: set[object] = set()
        self._again: set[object] = set()

    def __call__(self, *given: Any) -> Any:  # noqa: ANN401 - as the step
        """Return the result of the step, in memory of its own."""
        tensors = tensors_of(given)
        shapes = tuple((tensor.shape, tensor.stride(), tensor.dtype) for tensor in tensors)
        if shapes in self._known and len(self._again) < MOST_SHAPES:
            self._again.add(shapes)
        self._known.add(shapes)
        if self._compiled is None or shapes not in self._again:
            return self._step(*given)
        if any(tensor.is_cuda for tensor in tensors):
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        try:
            # What a CUDA graph returns is overwritten by its next call.
            return mapped(self._compiled(*given), Tensor.clone)
        except Exception as error:
            reason = compiler_reason(error)
            if reason is None:
                raise
            _LOG.warning(
                "--compile-heads: torch can't compile %s, which is computed without it: %s", self._title, reason
            )
            self._compiled = None
            return self._step(*given)


def _with_own_code(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return a step whose code is an object of its own: torch counts by it how often something was compiled.

    Else the folds of a run, which have a form each, would reach the limit of torch together.
    """

    def call(*given: Any) -> Any:  # noqa: ANN401 - as the step
        return step(*given)

    call.__code__ = call.__code__.replace()
    return call


def _own_network(own: AnyMethod, name: str) -> nn.Module:
    """Put a copy of a network, which shares its parts, in its place in a form, and return it."""
    network = getattr(own, name)
    if isinstance(network, tuple):  # its parts are the method's own
        copied: nn.Module = shallow_copy(network[0])
        setattr(own, name, (copied,))
    else:
        copied = shallow_copy(network)
        # The method may have another name for it: those of releases differ.
        own._modules[next(key for key, part in own.named_children() if part is network)] = copied
    return copied
