"""Reads weights safely and loads them strictly.

No file is ever unpickled freely. `torch.load(weights_only=True)` builds only tensors and plain containers. A checkpoint
may name other objects: a Lightning checkpoint of iFSL, for example, holds its arguments and the state of its callbacks.
If such an object belongs to a list of harmless modules, an empty stand-in replaces it; nothing is imported and nothing
is called. A file that names any other object is refused.
"""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fssbench.checkpoints.files import check_contents, recognise
from fssbench.checkpoints.mismatch import explain_mismatch
from fssbench.checkpoints.naming import AnyMethod, preloaded, rename_checkpoint, rename_for_method, unwrapped_names
from fssbench.checkpoints.programs import check_program
from fssbench.checkpoints.weights import BACKBONE, cast, check_form, check_not_zero, check_values
from fssbench.datasets.catalogue import REGISTRY as DATASETS
from fssbench.errors import BrokenFileError, CheckpointError, UsageError
from fssbench.methods.base.built import BuiltAs

_LOG = logging.getLogger(__name__)

_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net")
_HARMLESS = (
    "argparse",
    "collections",
    "common.callbacks",
    "lightning",
    "numpy",
    "omegaconf",
    "pathlib",
    "pytorch_lightning",
)
"""Modules whose classes appear in released checkpoints besides weights; they are replaced, never imported."""

_SHOWN = 3


class _StandIn:
    """Replaces an object in a checkpoint that is not a weight; does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the state dict of a weight file, without wrappers and "module." prefixes.

    Args:
        path: A torch file (zip or legacy), safetensors, or NumPy's arrays in an .npz file.

    Raises:
        MissingError: If it is missing.
        BrokenFileError: If it is not a weight file, or is cut short.
        CheckpointError: If it holds no state dict, objects that are not weights, or weights that are not finite.
    """
    state = unwrapped_names(_read(path))
    try:
        for key, value in state.items():
            check_form(key, value)
        _check_sizes(path, state)
        for key, value in state.items():
            check_values(key, value)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", error.remedy) from error
    return state


def _check_sizes(path: Path, state: Mapping[str, Tensor]) -> None:
    # A tensor of stride 0 claims many values but stores one. No accepted type has more than one value per byte.
    claimed, size = sum(value.numel() for value in state.values()), path.stat().st_size
    if claimed > size:
        raise BrokenFileError(
            f"{path} claims {claimed} values, more than its {size} bytes can hold",
            "ask its author for a state dict of contiguous tensors",
        )


def _read(path: Path) -> Mapping[str, Tensor]:
    kind = recognise(path)
    if kind == "safetensors":
        from safetensors.torch import load_file

        try:
            state = dict(load_file(path))
        except Exception as error:  # safetensors raises its own type for each damage
            raise BrokenFileError(f"{path} is damaged: {_first_line(error)}", "download it again") from error
        return state or _unwrapped(state, path)
    if kind in ("torch-zip", "npz"):
        check_contents(path)
    if kind == "npz":
        return _arrays(path)
    check_program(path, legacy=kind == "torch-legacy")
    return _unwrapped(_torch_load(path), path)


def _arrays(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as held:
            return {name: torch.from_numpy(held[name]) for name in held.files}
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise BrokenFileError(f"{path} is damaged: {_first_line(error)}", "download it again") from error


def _torch_load(path: Path) -> object:
    try:
        with _stand_ins(path):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f", such as {named[1]}" if named else ""
        raise CheckpointError(
            f"{path} holds more than weights{what}; it was not run",
            "ask its author for the state dict alone, or convert it to safetensors if you trust it",
        ) from error
    except CheckpointError:
        raise
    except Exception as error:  # torch raises half a dozen types for damaged files
        raise BrokenFileError(f"{path} is damaged: {_first_line(error)}", "download it again") from error


def _stand_ins(path: Path) -> AbstractContextManager[object]:
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # a legacy file can't be searched, and holds plain state dicts
        return nullcontext()
    if foreign := [name for name in names if not name.startswith(tuple(f"{module}." for module in _HARMLESS))]:
        raise CheckpointError(
            f"{path} names {foreign[0]}, which is not a weight; it was not run",
            "use it only if you know who made it, and ask them for the state dict alone",
        )
    # Each name gets its own class, by which the loader distinguishes them.
    replaced: list[Callable[..., object] | tuple[Callable[..., object], str]] = [
        (type("StandIn", (_StandIn,), {}), name) for name in names
    ]
    return torch.serialization.safe_globals(replaced)


def _unwrapped(loaded: object, path: Path) -> dict[str, Tensor]:
    for _ in range(3):
        if not isinstance(loaded, Mapping):
            break
        if loaded and all(isinstance(value, Tensor) for value in loaded.values()):
            return {str(key): value for key, value in loaded.items()}
        inner = next((loaded[key] for key in _WRAPPERS if isinstance(loaded.get(key), Mapping)), None)
        if inner is None:
            break
        loaded = inner
    raise CheckpointError(f"{path} holds no state dict: {_describe(loaded)}")


def _describe(loaded: object) -> str:
    if not isinstance(loaded, Mapping):
        return f"a {type(loaded).__name__}"
    return f"its entries are {', '.join(str(key) for key in list(loaded)[:5]) or 'none'}"


def load_into(method: AnyMethod, *paths: Path) -> None:
    """Load weight files into a method. Together they must hold exactly its weights.

    Of what both hold, a method that keeps the backbone as it was before training (`Method.keeps_start`) takes the
    checkpoint's.

    Args:
        method: Built for these weights.
        paths: The checkpoint and, if the frozen backbone has its own file, that file.

    Raises:
        MissingError, BrokenFileError, CheckpointError: As `read_state` and `load_release`.
    """
    state: dict[str, Tensor] = {}
    for path in paths:
        part = rename_for_method(read_state(path), method)
        if not method.keeps_start and (twice := next((key for key in part if key in state), None)):
            raise CheckpointError(f"{paths[0]} and {path} both hold {twice}", "leave the file of the backbone out")
        state = part | state
    try:
        _load_strictly(method, state)
    except CheckpointError as error:
        raise CheckpointError(f"{paths[0]}: {error.message}", error.remedy) from error


def _remedy(weights: Mapping[str, Tensor], missing: Sequence[str], others: Sequence[str], cause: str) -> str:
    held = {key.partition(".")[0] for key in weights if BACKBONE.match(key)}
    apart = all(BACKBONE.match(key) and key.partition(".")[0] not in held for key in missing)
    if missing and not others and apart:
        return "add --backbone-weights FILE: these weights do not include the frozen backbone"
    what = "the method, --variant, --backbone and --shots" if cause else "the method and its variant"
    return f"name {what} with which these weights were trained, or other weights"


def load_release(
    method: AnyMethod, state_dict: Mapping[str, Tensor | npt.NDArray[Any]], trained_on: str | None = None
) -> AnyMethod:
    """Load a released checkpoint's state dict strictly and return the method.

    Args:
        method: From `fssbench.build`, with the arguments for this checkpoint.
        state_dict: The released keys, with or without a prefix that all share, such as "module." or "model."; batch
            counters may be missing. Tensors or arrays; values are cast to the dtype of the parameter.
        trained_on: The data set that the weights were trained on. A release's configurations may differ in options that
            weights do not show, such as PFENet's pyramid. If neither this argument nor `build` names the data set, a
            warning says which one was assumed.

    Raises:
        CheckpointError: If a key is missing, unexpected or has another shape, naming the first ones; if weights are not
            finite, all zero, or of another kind than the parameter, such as integers. The method is unchanged.
        UsageError: If the method was built with the configuration of another data set.

    Examples:
        >>> import fssbench
        >>> method = fssbench.build("hsnet", backbone="small")
        >>> released = {f"module.{key}": value for key, value in method.state_dict().items()}
        >>> fssbench.load_release(method, released) is method
        True
    """
    _check_configuration(method, None if trained_on is None else DATASETS.spelled(trained_on))
    _load_strictly(method, state_dict)
    return method


def _load_strictly(method: AnyMethod, state_dict: Mapping[str, Tensor | npt.NDArray[Any]]) -> None:
    if not isinstance(state_dict, Mapping):
        raise CheckpointError(f"a state dict maps keys to tensors; this is a {type(state_dict).__name__}")
    weights = rename_checkpoint(method, {str(key): _tensor(key, value) for key, value in state_dict.items()})
    own = method.state_dict()
    given = preloaded(method)
    _check_preloaded(given, weights)
    weights = given | weights
    missing = [key for key in own if key not in weights]
    unexpected = [key for key in weights if key not in own]
    misshapen = [
        f"{key} is {tuple(weights[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in weights and weights[key].shape != own[key].shape
    ]
    if missing or unexpected or misshapen:
        wrong = [_listed("missing", missing), _listed("unexpected", unexpected), _listed("misshapen", misshapen)]
        cause = explain_mismatch(own, weights)
        raise CheckpointError(
            f"the weights do not fit {type(method).__name__}{f': {cause}' if cause else ''}; "
            + "; ".join(part for part in wrong if part),
            _remedy(weights, missing, [*unexpected, *misshapen], cause),
        )
    taken = {key: cast(key, weights[key], own[key]) for key in own}
    check_not_zero({key: value for key, value in taken.items() if key not in given})
    method.load_state_dict(taken)


def _check_preloaded(given: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    """Refuse weights of another backbone than that which the method was built with; weights may be without it."""
    for key, value in weights.items():
        # A training may store its weights in 16 bits.
        if key in given and not torch.equal(value, given[key].to(value)):
            raise CheckpointError(
                f"the weights were trained on another backbone than the one that was named: {key} differs",
                "name the model, the revision and the layers with which they were trained",
            )


def _check_configuration(method: AnyMethod, trained_on: str | None) -> None:
    built = getattr(method, "built", None)
    if not isinstance(built, BuiltAs) or not (hidden := built.hidden_options()):
        return
    names = ", ".join(hidden)
    if trained_on is not None and not built.fits(trained_on):
        raise UsageError(
            f"{built.name} was not built with its release's configuration for {trained_on}, which differs in {names}",
            f"fssbench.build('{built.name}', trained_on='{trained_on}', ...)",
        )
    if trained_on is None and built.trained_on is None and not any(option in built.options for option in hidden):
        _LOG.warning(
            "%s: weights do not show which data set they were trained on, and the release's configurations differ in "
            "%s; that of pascal5i was assumed. Name the data set: fssbench.build('%s', trained_on='coco20i', ...)",
            built.name,
            names,
            built.name,
        )


def _tensor(key: str, value: Tensor | npt.NDArray[Any]) -> Tensor:
    if not isinstance(value, Tensor):
        # A copy in this machine's byte order: arrays may be read-only, memory-mapped, or from another machine.
        array = np.array(value)
        try:
            value = torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
        except TypeError as error:
            raise CheckpointError(f"{key} is not a tensor but {_kind_of(array)}") from error
    check_form(key, value)
    return value


def _kind_of(array: npt.NDArray[Any]) -> str:
    return f"a {type(array.item()).__name__}" if array.ndim == 0 else f"an array of {array.dtype}"


def _listed(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return f"{what}: {', '.join(keys[:_SHOWN])}{more}"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
