"""The recipe in a training state: a text, compared field by field, so that a state of an older version resumes."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from fssbench.training.recipe import Apart, Augmentation, Crops, Optimiser, Ramp, Recipe, Validation

_KINDS = {kind.__name__: kind for kind in (Recipe, Ramp, Augmentation, Crops, Apart, Optimiser, Validation)}


def same_recipe(recorded: object, current: str) -> bool:
    """Return whether the recipe of a training state decides the same training as the current one.

    A field that the recorded recipe does not have is newer than the state: the training had what is now its default.
    `source` decides nothing.

    Args:
        recorded: What the state has: the text (`str`) of a `Recipe`, of this version or an older one. Nothing of it is
            run.
        current: The text of the current recipe.
    """
    if recorded == current:
        return True
    then = recipe_of(recorded)
    return then is not None and then == recipe_of(current)


def recipe_of(text: object) -> Recipe | None:
    """Return the recipe of a text without its source, or None if it is none of this version's fields."""
    if not isinstance(text, str):
        return None
    try:
        found = _value(ast.parse(text, mode="eval").body)
        return replace(found, source="") if isinstance(found, Recipe) else None
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> Any:  # noqa: ANN401 - a recipe, a part of it, or what a literal is
    if not isinstance(node, ast.Call):
        return ast.literal_eval(node)
    if not isinstance(node.func, ast.Name) or node.func.id not in _KINDS or node.args:
        raise ValueError("not a part of a recipe")
    # Fields that a part does not have are a TypeError, also `**fields`, whose name is None.
    return _KINDS[node.func.id](**{str(field.arg): _value(field.value) for field in node.keywords})
