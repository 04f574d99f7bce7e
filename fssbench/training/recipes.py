"""The recipes of methods: recipes.toml as typed values. No torch."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.protocols.rules import OWN_DATA
from fssbench.toml import parse, text_of
from fssbench.training.recipe import Recipe

_BUILT_IN = Path(__file__).parent / "recipes.toml"


def read_recipes(path: Path = _BUILT_IN) -> dict[str, Recipe]:
    """Return the recipes of a file by name.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is not TOML, or has an entry that is not a recipe, with the place.
    """
    try:
        raw = parse(text_of(path))
    except FileNotFoundError as error:
        raise MissingError(f"there is no file {path}") from error
    except tomllib.TOMLDecodeError as error:
        raise BrokenFileError(f"{path} can't be read as TOML: {error}", f"edit {path}") from error
    named = {name: {**fields, "name": name} if isinstance(fields, dict) else fields for name, fields in raw.items()}
    try:
        return TypeAdapter(dict[str, Recipe]).validate_python(named)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        # A misspelt name causes two errors: an unknown name, and a missing one. Only the first is in the file.
        first = next((one for one in wrong if one["type"] == "unexpected_keyword_argument"), wrong[0])
        place = ".".join(str(part) for part in first["loc"])
        raise BrokenFileError(f"{path}: {place}: {first['msg']}", f"edit {path}") from error


@cache
def _built_in() -> dict[str, Recipe]:
    return read_recipes()


def recipes(
    network: str,
    dataset: str,
    file: Path | None = None,
    *,
    variant: str = "",
    weak: bool = False,
    fallback: str | None = None,
) -> dict[str, Recipe]:
    """Return the recipes of a method or backbone on a data set: by stage, "" for stages without their own.

    A recipe that names the variant comes before one that does not, and the user's file before recipes.toml. A variant
    whose name extends another, as "fscs-local" extends "fscs", uses the recipe of that one if it has none of its own.

    Args:
        network: A method, or "small".
        dataset: A data set.
        file: A file of the user's own recipes, in the format of recipes.toml; recipes that are not in it are looked up
            there.
        variant: The variant of the method.
        weak: Whether it learns from image-level labels; "method.variant-weak/dataset" then comes first.
        fallback: The data set whose recipes are used if the data set has none. For the user's own data they validate on
            base classes only, because there are no printed numbers for comparison.

    Raises:
        UsageError: If there is no recipe, with the existing ones, or the file has none of the recipes that are used.
        MissingError: If the file is missing.
        BrokenFileError: If it is not a file of recipes.
    """
    own = read_recipes(file) if file else {}
    found: dict[str, Recipe] = {}
    # The least specific recipe comes first; later ones replace it.
    words = variant.split("-") if variant else []
    forms = [network, *(f"{network}.{'-'.join(words[:count])}" for count in range(1, len(words) + 1))]
    forms += [f"{form}-weak" for form in forms] if weak else []
    for data_set, form, source in product((fallback, dataset), forms, (_built_in(), own)):
        for name, recipe in source.items():
            head, stage, data = _parts(name)
            if (head, data) == (form, data_set):
                found[stage] = _on_base_classes(recipe) if dataset == OWN_DATA and data == fallback else recipe
    if not found:
        name = f"{network}/{dataset}"
        known = sorted({**_built_in(), **own})
        near = [one for one in known if _parts(one)[0].partition(".")[0] == network] or known
        raise UsageError(
            f"there is no recipe {name}; there are {', '.join(near)}",
            f'--config FILE with a table ["{name}"]',
        )
    if file is not None and not any(one is mine for one in found.values() for mine in own.values()):
        # With a typo in the name of a table, hours of training would otherwise use recipes.toml.
        expected = f"{forms[-1]}/{dataset}"
        raise UsageError(
            f"{file} has nothing that decides how {expected} is trained; it has {', '.join(own) or 'no table'}",
            f'a table ["{expected}"], or leave --config out',
        )
    return found


def _on_base_classes(chosen: Recipe) -> Recipe:
    """Return a recipe whose validation uses base classes only."""
    return (
        chosen if chosen.validation is None else replace(chosen, validation=replace(chosen.validation, classes="base"))
    )


def _parts(name: str) -> tuple[str, str, str]:
    """Return the parts of a recipe's name: the network with its variant, the stage, the data set."""
    head, _, dataset = name.partition("/")
    form, _, stage = head.partition(":")
    return form, stage, dataset


def recipe(network: str, dataset: str, file: Path | None = None, *, variant: str = "", stage: str = "") -> Recipe:
    """Return the recipe of one stage of a method or backbone on a data set; see `recipes` and `stage_recipe`."""
    found = recipes(network, dataset, file, variant=variant)
    return stage_recipe(found, stage, f"{network}/{dataset}")


def stage_recipe(found: Mapping[str, Recipe], stage: str, name: str) -> Recipe:
    """Return the recipe of a stage: its own, or the one for all stages.

    Raises:
        UsageError: If there is neither.
    """
    if stage not in found and "" not in found:
        method, _, dataset = name.partition("/")
        raise UsageError(
            f"{name} is trained in stages, and stage '{stage}' has no recipe",
            f'--config FILE with a table ["{method}:{stage}/{dataset}"]',
        )
    return found.get(stage) or found[""]
