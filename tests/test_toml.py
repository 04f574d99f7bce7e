"""TOML that would end in a traceback, or in hours, is no TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from fssbench.checkpoints import records
from fssbench.checkpoints.registry import user_registry
from fssbench.config import config_file
from fssbench.datasets.roots import configured_roots
from fssbench.errors import BrokenFileError
from fssbench.toml import parse, text_of
from fssbench.training.recipes import read_recipes

DEEP = [
    "a = " + "[" * 100_000,
    "a = " + "[" * 100_000 + "]" * 100_000,
    "a = " + "[" * 90 + "]" * 90,
    "a = " + "{b = " * 50_000,
    "a" + ".a" * 200_000 + " = 1",
    "a = {a" + " . 'a'" * 200_000 + " = 1}",
    "[a" + ".a" * 200_000 + "]",
]
LARGE = [
    "a = " + "9" * 5000,
    "a = -" + "9_" * 5000 + "9",
    "a = 0x" + "f" * 5000,
    "a = [{b = 9223372036854775808}]",
]
FINE = [
    "a = " + "[" * 62 + "]" * 62,
    "a = [9223372036854775807, -9223372036854775808]",
    f"a = '{'9' * 5000}'",
    "a.b.c.d = 1",
    f"a = '{'x' * 100_000}'",
    f"a = '{'word ' * 20_000}.'",
]


@pytest.mark.parametrize("text", DEEP)
def test_what_is_nested_deep_is_refused(text: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError, match="nested deeper than 64 levels"):
        parse(text)


@pytest.mark.parametrize("text", LARGE)
def test_integers_have_64_bits(text: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError, match="an integer of more than 64 bits"):
        parse(text)


@pytest.mark.parametrize("text", FINE)
def test_what_is_toml_is_read_as_it_was(text: str) -> None:
    assert parse(text) == tomllib.loads(text)


def _registry(text: bytes, _: Path) -> Path:
    return _written(user_registry(), text)


def _config(text: bytes, _: Path) -> Path:
    return _written(config_file(), text)


def _recipes(text: bytes, folder: Path) -> Path:
    return _written(folder / "recipes.toml", text)


def _written(path: Path, text: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    return path


@pytest.mark.parametrize(
    ("write", "read"),
    [(_registry, lambda _: records()), (_config, lambda _: configured_roots()), (_recipes, read_recipes)],
)
def test_every_file_of_settings_is_refused_by_name_and_read_with_a_byte_order_mark(
    write: Callable[[bytes, Path], Path], read: Callable[[Path], object], tmp_path: Path
) -> None:
    for text in (DEEP[0], DEEP[4], LARGE[0], LARGE[2], "a = "):
        path = write(text.encode(), tmp_path)
        with pytest.raises(BrokenFileError, match=rf"{path.name} .*TOML") as told:
            read(path)
        assert told.value.remedy == f"edit {path}"
    for content, message in ((b"\xff", f"can't read .*{path.name}"), (b"#" * (4 << 20) + b"\n", "is too large")):
        path = write(content, tmp_path)
        with pytest.raises(BrokenFileError, match=message):
            read(path)
    read(write(b"\xef\xbb\xbf# nothing\n", tmp_path))


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        text_of(tmp_path / "none.toml")
