"""How methods are trained: recipes.toml as typed values. No torch."""

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
        BrokenFileError: If it is not TOML, or says something that is no recipe, with the place.
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
        # A misspelt name is missing under its right one, too; the misspelt one is what there is to be seen in the file.
        first = next((its for its in wrong if its["type"] == "unexpected_keyword_argument"), wrong[0])
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
    like: str | None = None,
) -> dict[str, Recipe]:
    """Return how a method or backbone is trained on a data set: by stage, "" for what holds where a stage has none.

    What names the variant comes before what does not, and a file of one's own before recipes.toml. A variant named
    after another, as "fscs-local" after "fscs", is trained as that one where nothing names it.

    Args:
        network: A method, or "small".
        dataset: A data set.
        file: A file of recipes of your own, laid out as recipes.toml; what it does not hold is looked up there.
        variant: The form of the method.
        weak: Whether it learns from image-level labels; "method.variant-weak/dataset" comes first then.
        like: The data set that it resembles, and whose recipes hold where it has none of its own. Those of one's own
            photos then look at base classes only, as nobody has printed numbers there to be compared with.

    Raises:
        UsageError: If there is no recipe, with those there are, or the file has none of them.
        MissingError: If the file is not there.
        BrokenFileError: If it is not a file of recipes.
    """
    own = read_recipes(file) if file else {}
    found: dict[str, Recipe] = {}
    # The least specific first: what comes later replaces it.
    words = variant.split("-") if variant else []
    forms = [network, *(f"{network}.{'-'.join(words[:count])}" for count in range(1, len(words) + 1))]
    forms += [f"{form}-weak" for form in forms] if weak else []
    for data_set, form, source in product((like, dataset), forms, (_built_in(), own)):
        for name, its in source.items():
            head, stage, data = _parts(name)
            if (head, data) == (form, data_set):
                found[stage] = _on_base_classes(its) if dataset == OWN_DATA and data == like else its
    if not found:
        name = f"{network}/{dataset}"
        known = sorted({**_built_in(), **own})
        near = [its for its in known if _parts(its)[0].partition(".")[0] == network] or known
        raise UsageError(
            f"there is no recipe {name}; there are {', '.join(near)}",
            f'--config FILE with a table ["{name}"]',
        )
    if file is not None and not any(its is mine for its in found.values() for mine in own.values()):
        # A typo in the name of a table would else train as recipes.toml says, for hours.
        asked = f"{forms[-1]}/{dataset}"
        raise UsageError(
            f"{file} has nothing that decides how {asked} is trained; it has {', '.join(own) or 'no table'}",
            f'a table ["{asked}"], or leave --config out',
        )
    return found


def _on_base_classes(its: Recipe) -> Recipe:
    """Return a recipe whose validation does not see what is asked later."""
    return its if its.validation is None else replace(its, validation=replace(its.validation, classes="base"))


def _parts(name: str) -> tuple[str, str, str]:
    """Return what a recipe is for: the network with its variant, the stage, the data set."""
    head, _, dataset = name.partition("/")
    form, _, stage = head.partition(":")
    return form, stage, dataset


def recipe(network: str, dataset: str, file: Path | None = None, *, variant: str = "", stage: str = "") -> Recipe:
    """Return how one stage of a method or backbone is trained on a data set; see `recipes` and `stage_recipe`."""
    found = recipes(network, dataset, file, variant=variant)
    return stage_recipe(found, stage, f"{network}/{dataset}")


def stage_recipe(found: Mapping[str, Recipe], stage: str, name: str) -> Recipe:
    """Return the recipe of a stage: its own, or the one that holds for all.

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
