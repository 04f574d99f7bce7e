"""The configuration of a model, which comes from outside: read, limited and checked before a network is built of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.escape import plain
from fssbench.hub.families import Family, Statistics, families
from fssbench.unique_keys import RepeatedKeyError, loads

CONFIG = "config.json"
_PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")

_MOST_BYTES = 4 << 20
_MOST_BLOCKS = 256
_MOST = 1 << 16
"""No size in the configuration of a supported network is larger."""
_LEFT_OUT = ("id2label", "label2id", "architectures", "transformers_version", "text_config", "task_specific_params")
_CODE = "auto_map"
_RESCALE = 1 / 255

Json = Mapping[str, object]


def read_config(path: Path) -> tuple[Family, Json]:
    """Return the family of a model and the configuration of its vision network.

    Args:
        path: Its config.json.

    Raises:
        MissingError: If the file is missing.
        BrokenFileError: If it is not the configuration of a network, or its sizes are out of range.
        UsageError: If the network needs code of its own, or is of another family.
    """
    known, config = families(), read_json(path)
    if any(_CODE in part for part in _tables(config)):
        raise UsageError(
            f"{path} names code of its own (auto_map), which is not run", "use a model whose network transformers has"
        )
    kind = config.get("model_type")
    if not isinstance(kind, str):
        raise BrokenFileError(f"{path} does not say which network it is of: it has no model_type")
    for family in known.values():
        if kind == family.within:
            inner = config.get("vision_config")
            if not isinstance(inner, Mapping):
                raise BrokenFileError(f"{path} has no vision_config")
            return family, _checked(path, cast("Json", inner))
    if kind not in known:
        raise UsageError(
            f"{path} is of a network of the type {plain(kind)[:40]}, which is not a backbone here",
            f"a model of the type {', '.join(sorted({*known, *(one.within for one in known.values() if one.within)}))}",
        )
    return known[kind], _checked(path, config)


def depth_of(path: Path, family: Family, config: Json) -> int:
    """Return the number of blocks or stages.

    Raises:
        BrokenFileError: If it is out of range.
    """
    value = config.get(family.depth, family.default)
    depth = len(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
    blocks = [depth, *(value if isinstance(value, Sequence) else ())]
    if not all(isinstance(count, int) and 1 <= count <= _MOST_BLOCKS for count in blocks):
        raise BrokenFileError(f"{path}: {family.depth} is {_shown(value)}; there are 1 to {_MOST_BLOCKS} blocks")
    return cast("int", depth)


def statistics(folder: Path, family: Family) -> tuple[Statistics, Statistics]:
    """Return mean and standard deviation of the images for a model: its preprocessor's, or else its family's.

    Raises:
        BrokenFileError: If they are not three numbers each, or pixels are not scaled to 0..1.
    """
    for name in _PREPROCESSORS:
        path = folder / name
        if not path.is_file():
            continue
        found = read_json(path)
        inner = found.get("image_processor", found)
        if not isinstance(inner, Mapping) or not inner.keys() & {"image_mean", "image_std", "do_normalize"}:
            continue
        scale = inner.get("rescale_factor", _RESCALE)
        if not isinstance(scale, int | float) or not 0.999 * _RESCALE <= scale <= 1.001 * _RESCALE:
            raise BrokenFileError(f"{path}: rescale_factor is {_shown(scale)}; pixels are scaled by 1/255 here")
        if inner.get("do_normalize") is False:
            return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        mean, std = inner.get("image_mean", list(family.mean)), inner.get("image_std", list(family.std))
        return _three(path, "image_mean", mean, -10.0), _three(path, "image_std", std, 1e-3)
    return family.mean, family.std


def read_json(path: Path) -> Json:
    """Return the object in a JSON file.

    Raises:
        MissingError: If the file is missing.
        BrokenFileError: If it is too large, or is not a JSON object.
    """
    if not path.is_file():
        raise MissingError(f"there is no file {path}")
    if path.stat().st_size > _MOST_BYTES:
        raise BrokenFileError(f"{path} has more than {_MOST_BYTES >> 20} MiB")
    try:
        found = loads(path.read_bytes())
    except RepeatedKeyError as error:
        raise BrokenFileError(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise BrokenFileError(f"{path} is not JSON") from error
    if not isinstance(found, dict):
        raise BrokenFileError(f"{path} is not a JSON object")
    return found


def _checked(path: Path, config: Json) -> Json:
    if "quantization_config" in config:
        raise UsageError(f"{path} is of quantised weights, which are not read", "use a model in float32 or float16")
    kept = {key: value for key, value in config.items() if key not in _LEFT_OUT and not key.startswith("_")}
    for key, value in kept.items():
        for number in _numbers(value):
            if abs(number) > _MOST or not math.isfinite(number):
                raise BrokenFileError(f"{path}: {plain(key)[:40]} is {_shown(number)}, which no backbone here has")
    if (channels := kept.get("num_channels", 3)) != 3:
        raise UsageError(f"{path}: num_channels is {_shown(channels)}; images here have 3 channels")
    return kept | {key: _side(path, key, kept[key]) for key in ("patch_size", "image_size") if key in kept}


def _side(path: Path, key: str, value: object) -> object:
    """Return the side of a square; an image may also be higher or wider."""
    sides = list(value) if isinstance(value, list) else [value] * 2
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise BrokenFileError(f"{path}: {key} is {_shown(value)}, not a number of pixels")
    if sides[0] != sides[1] and key == "patch_size":
        raise UsageError(f"{path}: {key} is {_shown(value)}; patches here are square")
    return sides[0] if sides[0] == sides[1] else value


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _numbers(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _numbers(inner)


def _tables(value: object) -> Iterator[Json]:
    if isinstance(value, Mapping):
        yield value
        for inner in value.values():
            yield from _tables(inner)


def _three(path: Path, name: str, value: object, least: float) -> Statistics:
    numbers = value if isinstance(value, list) else [value] * 3
    if len(numbers) != 3 or not all(isinstance(one, int | float) and least <= one <= 10 for one in numbers):
        raise BrokenFileError(f"{path}: {name} is {_shown(value)}, not three numbers for pixels in 0..1")
    return cast("Statistics", tuple(map(float, numbers)))


def _shown(value: object) -> str:
    return plain(repr(value))[:60]
