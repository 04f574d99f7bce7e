"""Commands whose options are the fields of dataclasses, and dataclasses that are filled from others."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints


def with_fields(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that has an option for each field of its parameters that are dataclasses.

    A field is annotated as a parameter of the command would be: `Annotated[type, typer.Option(...)]`.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}
    options: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in groups:
            group = groups[parameter.name]
            inner = get_type_hints(group, include_extras=True)
            found = inspect.signature(group).parameters.values()
            options += [one.replace(annotation=inner[one.name], kind=one.KEYWORD_ONLY) for one in found]
        else:
            options.append(parameter.replace(annotation=hints[parameter.name], kind=parameter.KEYWORD_ONLY))

    @wraps(command)
    def run(**given: object) -> None:
        made = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group) if field.name in given})
            for name, group in groups.items()
        }
        command(**made, **given)

    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in options}
    return run


def fields_for(target: type, *sources: object) -> dict[str, Any]:
    """Return those fields of some dataclass instances that another dataclass has under the same name.

    Args:
        target: The other dataclass, e.g. `fssbench.planning.request.Request`.
        *sources: What was typed.
    """
    names = {field.name for field in fields(target)}
    return {
        field.name: getattr(source, field.name)
        for source in sources
        for field in fields(source)  # type: ignore[arg-type]
        if field.name in names
    }
