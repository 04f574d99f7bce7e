"""A method's fast form: a subclass that shares its weights and overrides the steps that can be shortened.

The file of a method follows its paper. The optimised code is in `fssbench.fast`, and methods.toml names it.
`tests/fast` compares it with the plain form: equal labels, and logits within the tolerance of the golden cases.
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
"""The dictionaries that a form copies, so that replacing a module in it does not change the plain method."""


class FastForm:
    """Mixed into a subclass of a method that predicts the same with less work.

    A fast form is made only by `fast_form`, is never trained, and computes under `torch.inference_mode`. On a CPU
    several threads predict with it at the same time, so `predict` must not change the form.
    """

    def prepare(self) -> None:
        """Compute what depends on the weights only; called when the form is made."""


def fast_form(method: AnyMethod) -> AnyMethod:
    """Return the fast form of a method, which shares its modules; the method itself if it has none.

    A method that `fssbench.build` did not make, or an instance of a subclass of the registered class, may predict in
    its own way, and is returned unchanged. Weights that are loaded into the method later do not reach the form: make a
    new one.

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
        raise TypeError(f"{info.fast} is not a fast form of {info.target}")
    form = shallow_copy(method)
    form.__class__ = cls
    cast("FastForm", form).prepare()
    return form


def shallow_copy(module: Module) -> Module:
    """Return a module that shares all its parts with another; replacing a part in it does not change the other."""
    own = copy.copy(module)
    for name in _OWN:
        vars(own)[name] = vars(module)[name].copy()
    return own


def flag_of(cls: type, flag: str, *steps: str) -> bool:
    """Return a flag of a class, such as `Method.predicts_in_threads`.

    The flag applies to the steps of the class that sets it. A subclass that overrides one of these steps without
    setting the flag has False, because it may compute differently.

    Args:
        cls: A subclass of `Method`.
        flag: Name of the flag.
        steps: The methods that the flag is about.
    """
    for base in cls.__mro__:
        if flag in vars(base):
            return bool(vars(base)[flag])
        if any(step in vars(base) for step in steps):
            return False
    return False
