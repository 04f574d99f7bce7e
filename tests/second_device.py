"""A second device, pretended: what a graphics card would refuse fails here without one.

A tensor on it holds its numbers on the processor and names another device, so that code which reads the device of a
tensor, or makes one where another is, does what it would do for a card. Numbers are computed by the processor. An
operation on tensors of both devices is refused as torch refuses it; so a tensor that was made on the default device by
mistake is found where it meets another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any, Self

import pytest
import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

SECOND = torch.device("meta")
"""The name it goes by: torch starts no driver for it when a tensor is made there."""

_MOVES = {
    torch.ops.aten._to_copy.default,
    torch.ops.aten.copy_.default,
    torch.ops.aten.to.device,
    torch.ops.aten.to.dtype_layout,
}
"""What may be given tensors of both devices: it moves numbers from one to the other."""
_INDEXED = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
}
"""What takes indices from the processor also for a tensor that is elsewhere."""


class OnSecond(Tensor):
    """A tensor that names the second device; `held` has its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Self:
        """Return a tensor that looks like another one, elsewhere."""
        made: Self = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=SECOND,
            requires_grad=False,
        )
        made.held = held
        return made

    def __repr__(self, *, tensor_contents: object = None) -> str:  # type: ignore[override]
        """Return its numbers and where they pretend to be."""
        return f"OnSecond({self.held!r})"

    def new_tensor(self, data: object, *, dtype: torch.dtype | None = None) -> Tensor:  # type: ignore[override]
        """Return numbers as a tensor here; torch makes it without asking anybody."""
        return OnSecond(torch.tensor(data, dtype=dtype or self.dtype))

    def __getitem__(self, index: Any) -> Tensor:
        """Return a part; what lists name is brought here as indices from the processor are."""
        return super().__getitem__(_as_indices(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        """Change a part; see `__getitem__`."""
        super().__setitem__(_as_indices(index), value)

    def tolist(self) -> Any:
        """Return its numbers, which torch fetches from a card too."""
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute on the processor; see `compute`."""
        return compute(func, args, dict(kwargs or {}))


class SecondDevice(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, tensors can be made on the second device and moved to it."""

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute on the processor; see `compute`."""
        return compute(func, args, dict(kwargs or {}))


def compute(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what an operation gives, on the device where torch would put it.

    Raises:
        RuntimeError: If it is given tensors of both devices, of which the one on the processor is no single number.
    """
    if func is torch.ops.aten._has_compatible_shallow_copy_type.default:
        return False  # so modules that are moved get new parameters, which hold their own numbers
    names, place, aliases = _facts(func)
    if place is not None and place < len(args):
        # What names a device by its place is given it by its name.
        args, kwargs = args[:place], kwargs | dict(zip(names[place:], args[place:], strict=False))
    tensors = list(_tensors((args, kwargs)))
    elsewhere = [value for value in tensors if isinstance(value, OnSecond)]
    wanted = kwargs.get("device")
    if elsewhere and func not in _MOVES:
        looked_at = [args[0]] if func in _INDEXED else tensors
        here = [value for value in looked_at if not isinstance(value, OnSecond) and value.dim() > 0]
        if here:
            raise RuntimeError(
                f"{func} is given tensors of two devices: {tuple(here[0].shape)} {here[0].dtype} is on the processor"
            )
    target = torch.device(wanted) if wanted is not None else elsewhere[0].device if elsewhere else torch.device("cpu")
    if func is torch.ops.aten.copy_.default:
        target = args[0].device
    if wanted is not None:
        kwargs["device"] = torch.device("cpu")
    plain_args, plain_kwargs = _changed(_held, (args, kwargs)) if elsewhere else (args, kwargs)
    out = func(*plain_args, **plain_kwargs)
    if target.type != SECOND.type:
        return out
    out = _changed(_placed, out)
    if elsewhere and aliases:
        return return_and_correct_aliasing(func, args, kwargs, out)  # type: ignore[no-untyped-call]
    return out


@cache
def _facts(func: OpOverload) -> tuple[list[str], int | None, bool]:
    """Return the names of the arguments, the place of one that names a device, and whether one may be the result."""
    arguments = func._schema.arguments
    names = [argument.name for argument in arguments]
    place = names.index("device") if "device" in names else None
    return names, place, any(argument.alias_info is not None for argument in arguments)


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of arguments: faster than torch's trees, which know more kinds."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _tensors(one)
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))


def _changed(change: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)([_changed(change, one) for one in value])
    if isinstance(value, dict):
        return {name: _changed(change, one) for name, one in value.items()}
    return change(value)


def _as_indices(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(map(_as_indices, index))
    return torch.as_tensor(index) if isinstance(index, list) else index


def _placed(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    # A view of a parameter is no tensor of inference mode, also there.
    with torch.inference_mode(value.is_inference()):
        return OnSecond(value)


def _held(value: Any) -> Any:
    return value.held if isinstance(value, OnSecond) else value


@contextmanager
def second_device() -> Iterator[torch.device]:
    """Let the second device be there, and name it. It has no autocast, but takes the word that it is off."""
    autocast, tensor, as_tensor = torch.autocast, torch.tensor, torch.as_tensor

    def known(
        device_type: str, dtype: torch.dtype | None = None, enabled: bool = True
    ) -> AbstractContextManager[object]:
        return nullcontext() if device_type == SECOND.type and not enabled else autocast(device_type, dtype, enabled)

    def made(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
        # Torch makes tensors of given numbers without asking a mode: here on the processor first, as for a card.
        def there(data: object, *, device: torch.device | str | None = None, **kwargs: Any) -> Tensor:
            return make(data, **kwargs) if device is None else make(data, **kwargs).to(device)

        return there

    with SecondDevice(), pytest.MonkeyPatch.context() as patch:  # type: ignore[no-untyped-call]
        patch.setattr(torch, "autocast", known)
        patch.setattr(torch, "tensor", made(tensor))
        patch.setattr(torch, "as_tensor", made(as_tensor))
        yield SECOND
