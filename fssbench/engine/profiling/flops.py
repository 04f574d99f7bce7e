"""Counts the floating-point operations that torch runs, without changing any result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
"""Attention on a CPU, for which torch has no formula."""
_COMPOSED = torch._C.DispatchKey.CompositeImplicitAutograd


class Watching(TorchDispatchMode, ABC):  # type: ignore[no-untyped-call]
    """Sees each operation that runs inside its context.

    torch's own `FlopCounterMode` decomposes composite operations, some into other code than normally runs. A mask that
    is resized under it differs in its last digit, which sometimes changes a pixel of a prediction. Here an operation is
    decomposed only into the operations that it runs anyway.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - what the operation returns
        """Run an operation, or the operations that it consists of."""
        keywords = dict(kwargs or {})
        if _formula(func) is None and torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSED):  # type: ignore[no-untyped-call]
            with self:
                return func._op_dk(_COMPOSED, *args, **keywords)
        return self.run(func, args, keywords)

    @abstractmethod
    def run(self, func: OpOverload, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:  # noqa: ANN401 - as above
        """Run an operation that is not decomposed, and return what it returns."""


class Operations(Watching):  # type: ignore[no-untyped-call]
    """Counts the operations of matrix products, convolutions and attention inside its context, by torch's formulas.

    Attributes:
        count: Operations so far; a multiply-add is two.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def run(self, func: OpOverload, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:  # noqa: ANN401 - as above
        """Run an operation and count it."""
        out = func(*args, **keywords)
        self.count += operations_of(func, args, keywords, out)
        return out


def operations_of(func: OpOverload, args: tuple[Any, ...], keywords: Mapping[str, Any], out: object) -> int:
    """Return the floating-point operations of a product, a convolution or attention; 0 for anything else.

    Args:
        func: The operation.
        args: Its arguments.
        keywords: Those by name.
        out: What it returned.
    """
    formula = _formula(func)
    if formula is not None:
        return formula(*args, **keywords, out_val=out)
    if func.overloadpacket is _ATTENTION:
        return int(sdpa_flop_count(*(tensor.shape for tensor in args[:3])))  # type: ignore[no-untyped-call]
    return 0


def _formula(func: OpOverload) -> Callable[..., int] | None:
    """Return torch's formula for an operation; one that writes in place, such as `addmm_`, has that of the other."""
    packet = func.overloadpacket
    return flop_registry.get(packet) or flop_registry.get(
        getattr(torch.ops.aten, packet.__name__.removesuffix("_"), packet)
    )
