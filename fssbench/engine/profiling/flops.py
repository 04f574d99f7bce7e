"""Floating-point operations of what torch runs, counted without moving a digit of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
"""Attention on a processor, for which torch has no formula."""
_COMPOSED = torch._C.DispatchKey.CompositeImplicitAutograd


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations of matrix products, convolutions and attention while it is entered, by torch's formulas.

    torch's own `FlopCounterMode` takes composed operations apart, some by other code than the one that runs otherwise:
    a mask resized under it differs in its last digit, and with it now and then a pixel of an answer. Here an operation
    is taken apart into what it consists of anyway.

    Attributes:
        count: Operations so far, a multiply-add being two.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - what the operation returns
        """Run an operation, and count it."""
        given, formula = dict(kwargs or {}), _formula(func)
        composed = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSED)  # type: ignore[no-untyped-call]
        if formula is None and composed:
            with self:
                return func._op_dk(_COMPOSED, *args, **given)
        out = func(*args, **given)
        if formula is not None:
            self.count += formula(*args, **given, out_val=out)
        elif func.overloadpacket is _ATTENTION:
            self.count += sdpa_flop_count(*(its.shape for its in args[:3]))  # type: ignore[no-untyped-call]
        return out


def _formula(func: OpOverload) -> Callable[..., int] | None:
    """Return torch's formula for an operation; what is written in place, as by `addmm_`, is as much as elsewhere."""
    packet = func.overloadpacket
    return flop_registry.get(packet) or flop_registry.get(
        getattr(torch.ops.aten, packet.__name__.removesuffix("_"), packet)
    )
