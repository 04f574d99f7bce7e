"""Text of others on the screen, in a table, in a JSON document."""

from __future__ import annotations

import json
import tomllib

import pytest

from fssbench.escape import escaped, plain, printable

HOSTILE = ["\x1b[2J", "\x9b31m", "a\u202eb", "a\rb", "\x07", "\x7f", "\udcff", "\U000e0041"]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_nothing_that_drives_a_terminal_is_left(text: str) -> None:
    for clean in (printable(text), plain(text), escaped(text)):
        assert clean.isprintable()
        assert clean != text


def test_what_can_be_seen_stays() -> None:
    assert printable("Kuh  [a] :cow: \U0001f404 \u725b") == "Kuh  [a] :cow: \U0001f404 \u725b"
    assert plain(" two\n lines\tand\xa0more ") == "two lines and more"
    assert printable("two\nlines") == "two?lines"


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_json_document_says_the_same(text: str) -> None:
    document = json.dumps({"name": text}, indent=1, ensure_ascii=False)
    assert json.loads(escaped(document, keep="\n")) == {"name": text}


@pytest.mark.parametrize("text", ["\x1b[2J", "a\u202eb", "\x9b"], ids=ascii)
def test_a_toml_string_says_the_same(text: str) -> None:
    assert tomllib.loads(f'name = "{escaped(text)}"') == {"name": text}
