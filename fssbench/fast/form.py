"""A method's fast form: a subclass that shares its weights and overrides the steps that can be shortened.

The file of a method holds its paper. What makes it fast stands here in `fssbench.fast`, named in methods.toml, and
`tests/fast` holds it against the plain form: the same labels, and logits within the tolerance of the golden cases.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar, cast

from torch import nn

from fssbench.methods.base.method import Method
from fssbench.methods.catalogue import REGISTRY, method_info
from fssbench.registry import imported

AnyMethod = Method[Any, Any]
Module = TypeVar("Module", bound=nn.Module)

_OWN = ("_parameters", "_buffers", "_modules")
"""What a form has of its own, so that a part can be exchanged in it and stays in the plain method."""


class FastForm:
    """Mixed into a subclass of a method that predicts as it does, with less work.

    It is made by `fast_form` alone, is never trained, and computes under `torch.inference_mode`. On a processor several
    threads predict with it at once, so that `predict` leaves the form as it is.
    """

    def prepare(self) -> None:
        """Make ready what is computed once from the weights; called when the form is made."""


def fast_form(method: AnyMethod) -> AnyMethod:
    """Return the fast form of a method, which shares its modules; the method itself if it has none.

    A method that was not made by `fssbench.build`, or is of a subclass of the registered one, may predict in a way of
    its own, and is returned as it is. Weights that are loaded into the method afterwards are not in the form: make it
    anew.

    Args:
        method: In eval mode, on its device.
    """
    if method.built is None:
        return method
    info = method.info or method_info(method.built.name)
    if not info.fast or type(method) is not REGISTRY.get(info.name):
        return method
    cls = imported(info.fast)
    if not (isinstance(cls, type) and issubclass(cls, FastForm) and issubclass(cls, type(method))):
        raise TypeError(f"{info.fast} is no fast form of {info.target}")
    form = shallow_copy(method)
    form.__class__ = cls
    cast("FastForm", form).prepare()
    return form


def shallow_copy(module: Module) -> Module:
    """Return a module that shares all its parts with another; a part exchanged in it stays in the other."""
    own = copy.copy(module)
    for name in _OWN:
        vars(own)[name] = vars(module)[name].copy()
    return own


def flag_of(cls: type, flag: str, *steps: str) -> bool:
    """Return a flag of a class, such as `Method.predicts_in_threads`.

    It holds for the steps of the class that sets it: a subclass that overrides one of them and does not set the flag
    may have a way of its own, and has False.

    Args:
        cls: A subclass of `Method`.
        flag: Name of the flag.
        steps: The methods that it speaks of.
    """
    for base in cls.__mro__:
        if flag in vars(base):
            return bool(vars(base)[flag])
        if any(step in vars(base) for step in steps):
            return False
    return False
