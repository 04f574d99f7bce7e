"""The options that take names: completed by the shell, and taken as papers write them. None of it imports torch.

A table says which option takes which names, for all commands at once: an option of the same name in a new command is
completed, too. Names that are not known stay as they were typed; the command says what is near.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo

from fssbench.errors import FSSBenchError
from fssbench.names import known_name

_OPTIONS = {
    "--method": "method",
    "--compare": "method",
    "--ablation": "method",
    "--dataset": "dataset",
    "--train-dataset": "dataset",
    "--backbone": "backbone",
    "--backbones": "backbone",
    "--protocol": "protocol",
    "--variant": "variant",
    "--source": "source",
    "--fold": "fold",
    "--device": "device",
    "--labels": "labels",
    "--lists": "lists",
    "--part": "part",
    "--test-classes": "test classes",
}
"""The kind of the names that an option takes."""

_ARGUMENTS = {
    ("list", "names"): "method",
    ("validate", "method"): "method",
    ("published show", "names"): "method",
    ("data check", "name"): "dataset",
    ("data fetch", "name"): "dataset",
    ("data build", "name"): "dataset",
    ("data init", "name"): "dataset",
    ("data import-splits", "name"): "dataset",
    ("checkpoints show", "identifier"): "checkpoint",
    ("checkpoints fetch", "identifiers"): "checkpoint",
    ("checkpoints verify", "names"): "checkpoint",
}
"""The same for arguments: the command, and the parameter of its function."""

_PRINTED = ("table", "published", "checkpoints status")
"""Commands that know the methods, data sets and backbones of the printed tables besides those here."""

_WORDS = {
    "fold": ("0", "1", "2", "3", "all"),
    "device": ("auto", "cpu", "cuda"),
    "labels": ("hsnet", "pycocotools", "large", "png"),
    "lists": ("all", "here"),
    "part": ("all", "test"),
    "test classes": ("unseen", "all", "own", "repri-released"),
}

_NOT_A_NAME = re.compile(r"[*?\[/\\:]|\.(py|toml)$")
"""Patterns, paths, code and models of the hub."""

_PAIR = re.compile(r"_to_|\s*→\s*|\s*->\s*")


def with_names(target: typer.Typer | Callable[..., Any], command: str) -> None:
    """Make the options and arguments of a command, or of a group of commands, complete names and take spellings.

    Args:
        target: The function of the command, or its group.
        command: What is typed for it, e.g. "data".
    """
    if isinstance(target, typer.Typer):
        for one in target.registered_commands:
            if one.callback is not None:
                name = one.name or one.callback.__name__.replace("_", "-")
                with_names(one.callback, f"{command} {name}")
        return
    # Kept as they are evaluated: typer would make other objects of the texts.
    target.__annotations__ = hints = get_type_hints(target, include_extras=True)
    for parameter, hint in hints.items():
        info = _info(hint)
        if info is None:
            continue
        if _is_choice(hint):
            info.case_sensitive = False  # typer completes its values, and says which there are
            continue
        kind = _kind(info, command, parameter)
        if kind is not None:
            info.autocompletion = info.autocompletion or _completion(kind, command)
            if kind in ("method", "dataset", "backbone", "protocol", "checkpoint") and info.callback is None:
                info.callback = _spelled(kind)


def _info(hint: object) -> OptionInfo | ArgumentInfo | None:
    if get_origin(hint) is not Annotated:
        return None
    return next((one for one in get_args(hint)[1:] if isinstance(one, OptionInfo | ArgumentInfo)), None)


def _is_choice(hint: object) -> bool:
    """Return whether an option has a fixed set of values, or none."""
    kind = get_args(hint)[0]
    return any(get_origin(part) is Literal for part in (kind, *get_args(kind)))


def _kind(info: OptionInfo | ArgumentInfo, command: str, parameter: str) -> str | None:
    if isinstance(info, ArgumentInfo):
        return _ARGUMENTS.get((command, parameter))
    # In an annotation the first name of an option is where its default would be.
    return next((_OPTIONS[name] for name in (info.default, *(info.param_decls or ())) if name in _OPTIONS), None)


def _completion(kind: str, command: str) -> Callable[[typer.Context, str], list[str]]:
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        taken = before.split(",")
        try:
            known = list(_names(kind, command, ctx.params))
        except (FSSBenchError, OSError):
            return []  # the command itself says what is wrong with a configuration
        found = (name for name in dict.fromkeys(known) if name.startswith(last) and name not in taken)
        return [f"{before}{comma}{name}" for name in found]

    return complete


def _spelled(kind: str) -> Callable[[Any], Any]:
    def spelled(value: Any) -> Any:  # noqa: ANN401 - text, or a list of texts, or none
        if isinstance(value, str):
            return _spelled_text(kind, value)
        return [_spelled_text(kind, text) for text in value] if isinstance(value, list) else value

    return spelled


def _spelled_text(kind: str, text: str) -> str:
    """Return a text with each of its names as it is known here.

    Raises:
        UsageError: If a name stands for several.
    """
    return ",".join(_spelled_name(kind, part) for part in text.split(","))


def _spelled_name(kind: str, name: str) -> str:
    if not name.strip() or _NOT_A_NAME.search(name):
        return name
    ends = _PAIR.split(name) if kind == "dataset" else [name]
    if len(ends) == 2:
        return "_to_".join(_spelled_name(kind, end) for end in ends)
    base, at, size = name.partition("@") if kind == "protocol" else (name, "", "")
    known = known_name(kind, base, _OF_KIND[kind]({}), _titles(kind))
    return name if known is None else f"{known}{at}{size}"


def _titles(kind: str) -> dict[str, str]:
    from fssbench.datasets.catalogue import built_in

    return {name: info.title for name, info in built_in().items()} if kind == "dataset" else {}


def _names(kind: str, command: str, given: dict[str, Any]) -> Iterator[str]:
    """Yield the names of a kind; those that fit the options that were typed before, where that is known."""
    if kind in _WORDS:
        yield from _WORDS[kind]
    elif kind in _OF_KIND:
        yield from _OF_KIND[kind](given)
    if command.startswith(_PRINTED):
        yield from _printed(kind)


def _methods(_: dict[str, Any]) -> Iterable[str]:
    from fssbench.methods.catalogue import list_methods

    return list_methods()


def _datasets(_: dict[str, Any]) -> Iterable[str]:
    from fssbench.datasets.catalogue import list_datasets

    return list_datasets()


def _protocols(_: dict[str, Any]) -> Iterable[str]:
    from fssbench.protocols.rules import list_protocols

    return list_protocols()


def _backbones(given: dict[str, Any]) -> Iterable[str]:
    from fssbench.methods.catalogue import REGISTRY, list_backbones, method_info

    method = given.get("method")
    if isinstance(method, str) and method in REGISTRY.built_in:
        return method_info(method).all_backbones
    return list_backbones()


def _variants(given: dict[str, Any]) -> Iterable[str]:
    from fssbench.methods.catalogue import REGISTRY, method_info

    method = given.get("method")
    methods = [method] if isinstance(method, str) and method in REGISTRY.built_in else REGISTRY.built_in
    return [variant for name in methods for variant in method_info(name).tasks if variant]


def _checkpoints(_: dict[str, Any]) -> Iterable[str]:
    from fssbench.checkpoints.registry import records

    return [record.id for record in records()]


_OF_KIND: dict[str, Callable[[dict[str, Any]], Iterable[str]]] = {
    "method": _methods,
    "dataset": _datasets,
    "protocol": _protocols,
    "backbone": _backbones,
    "variant": _variants,
    "checkpoint": _checkpoints,
}


def _printed(kind: str) -> Iterable[str]:
    from fssbench.publications.load import publications

    known = publications()
    if kind == "method":
        return known.methods
    if kind == "source":
        return known.sources
    if kind in ("dataset", "backbone"):
        return [name for row in known.rows if (name := getattr(row, kind))]
    return ()
