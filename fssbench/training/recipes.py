"""How methods are trained: recipes.toml as typed values. No torch."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, TypeAdapter, ValidationError

from fssbench.errors import BrokenFileError, MissingError, UsageError

_FORBID: dict[str, str] = {"extra": "forbid"}
_BUILT_IN = Path(__file__).parent / "recipes.toml"
_LARGEST_FILE = 1 << 20

Chance = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=32, le=4096)]


@dataclass(frozen=True)
class Augmentation:
    """How far a training view may differ from the picture; as it stands here, not at all.

    Attributes:
        view: Smallest and largest side of a view, as a part of the picture's.
        turn: Largest turn, degrees.
        mirror: Chance of a mirror image.
        shuffle_colours: Chance that red, green and blue change places.
        tint: Largest gain of a colour less 1, and largest shift in standard deviations.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    view: tuple[Annotated[float, Field(gt=0.0, le=4.0)], Annotated[float, Field(gt=0.0, le=4.0)]] = (1.0, 1.0)
    turn: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0
    mirror: Chance = 0.0
    shuffle_colours: Chance = 0.0
    tint: Chance = 0.0


@dataclass(frozen=True)
class Optimiser:
    """Adam.

    Attributes:
        learning_rate: The largest learning rate.
        schedule: "constant", or "cosine": a linear rise over the first tenth of the steps, then half a cosine to 0.
        weight_decay: Decoupled from the gradient (AdamW); 0 is Adam.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0


@dataclass(frozen=True)
class Recipe:
    """How one network is trained on one data set.

    Attributes:
        name: "method/dataset", e.g. "hsnet/pascal5i"; "small/dataset" for the backbone.
        source: Where the numbers come from.
        steps: Steps.
        batch: Pairs per step.
        picture: (height, width) pictures are brought to; they are kept in memory at this size.
        view: (height, width) fed to the network, cut from the picture.
        kept: How many pictures are kept in memory.
        rim: Whether pixels labelled 255 leave the loss or are background.
        foreground_weight: How much a foreground pixel counts in the loss; a background pixel counts 1.
        stored: Precision of the weights that are written.
        backbone: Name of the frozen backbone; empty where a backbone is what is trained.
        options: What `fssbench.build` is given besides, e.g. `channels`.
        optimiser: Learning rate and the like.
        augmentation: How views differ from pictures.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    name: str
    source: str
    steps: Count
    batch: Count
    picture: tuple[Side, Side]
    view: tuple[Side, Side]
    kept: Annotated[int, Field(ge=0)] = 0
    rim: Literal["leave-out", "background"] = "background"
    foreground_weight: Annotated[float, Field(gt=0.0, le=100.0)] = 1.0
    stored: Literal["float32", "float16"] = "float32"
    backbone: str = ""
    options: Mapping[str, tuple[int, ...]] = field(default_factory=dict, hash=False)
    optimiser: Optimiser = Optimiser()
    augmentation: Augmentation = Augmentation()


def read_recipes(path: Path = _BUILT_IN) -> dict[str, Recipe]:
    """Return the recipes of a file by name.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is not TOML, or says something that is no recipe, with the place.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise BrokenFileError(f"{path} is too large for a file of recipes")
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingError(f"there is no file {path}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BrokenFileError(f"{path} can't be read as TOML: {error}") from error
    named = {name: {**fields, "name": name} if isinstance(fields, dict) else fields for name, fields in raw.items()}
    try:
        return TypeAdapter(dict[str, Recipe]).validate_python(named)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BrokenFileError(f"{path}: {place}: {first['msg']}", f"edit {path}") from error


@cache
def _built_in() -> dict[str, Recipe]:
    return read_recipes()


def recipe(network: str, dataset: str, file: Path | None = None) -> Recipe:
    """Return how a method or backbone is trained on a data set.

    Args:
        network: A method, or "small".
        dataset: A data set.
        file: A file of recipes of your own, laid out as recipes.toml; what it does not hold is looked up there.

    Raises:
        UsageError: If there is no recipe, with those there are.
        MissingError: If the file is not there.
        BrokenFileError: If it is not a file of recipes.
    """
    name = f"{network}/{dataset}"
    known = {**_built_in(), **(read_recipes(file) if file else {})}
    if name not in known:
        raise UsageError(
            f"there is no recipe {name}; there are {', '.join(sorted(known))}",
            f'--config FILE with a table ["{name}"]',
        )
    return known[name]
