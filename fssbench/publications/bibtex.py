"""The papers of the printed numbers as BibTeX, with the fields that were read at a source, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache

from fssbench.escape import plain
from fssbench.publications.load import publications
from fssbench.publications.rows import Paper

_JOURNALS = ("TPAMI",)

_SPECIAL = {"\\": "\\textbackslash{}", **{char: f"\\{char}" for char in "&%$#_{}"}, "~": "\\~{}", "^": "\\^{}"}


def bibtex_key(method: str) -> str:
    """Return the key of the paper of a method; empty if nothing is known that could be cited."""
    return _of_title(publications().methods[method].title)


def source_key(source: str) -> str:
    """Return the key of the paper that is a source of printed numbers, or that its repository belongs to."""
    return _of_title(publications().sources[source].title)


def bibtex(methods: Iterable[str] = ()) -> str:
    """Return the entries of papers, each once.

    Title and venue are those of benchmarks/published, authors those that a README of the release prints. What is not
    known is left out, and a comment says so.

    Args:
        methods: Keys of methods; default all methods, and all papers that print numbers.
    """
    keys = [bibtex_key(method) for method in methods] or list(_papers())
    return "\n".join(_entry(key, _papers()[key]) for key in dict.fromkeys(keys) if key)


def _of_title(title: str) -> str:
    return next((key for key, paper in _papers().items() if _flat(paper.title) == _flat(title)), "")


@cache
def _papers() -> dict[str, Paper]:
    """Return each paper once, by its key: the name of its first method, or of the source, and the year."""
    known = publications()
    sources = {
        key.partition("-")[0]: Paper(key.partition("-")[0], source.title, source.venue)
        for key, source in known.sources.items()
    }
    found: dict[str, Paper] = {}
    titles: set[str] = set()
    for name, paper in (*known.methods.items(), *sources.items()):
        year = re.search(r"\d{4}$", paper.venue)
        if year and _flat(paper.title) not in titles:
            titles.add(_flat(paper.title))
            found[f"{name}{year.group()}"] = paper
    return found


def _entry(key: str, paper: Paper) -> str:
    name, _, year = paper.venue.rpartition(" ")
    kind, where = ("article", "journal") if name in _JOURNALS else ("inproceedings", "booktitle")
    fields = {
        "author": " and ".join(paper.authors),
        # A paper that is known by the name of its method alone has no title here.
        "title": "" if paper.title == paper.name else paper.title,
        where: name,
        "year": year,
    }
    missing = [field for field, value in fields.items() if not value]
    notes = [f"% not known here: {', '.join(missing)}"] if missing else []
    notes += ["% title and venue were not read at a source of fssbench"] if paper.unread else []
    width = max(map(len, fields))
    lines = [f"  {field:<{width}} = {{{_value(field, value)}}}," for field, value in fields.items() if value]
    return "\n".join([*notes, f"@{kind}{{{key},", *lines, "}", ""])


def _value(field: str, text: str) -> str:
    escaped = "".join(_SPECIAL.get(char, char) for char in plain(text))
    # Styles write titles in small letters, except what is in braces.
    return re.sub(r"\b\w*[A-Z0-9]\w*[A-Z]\w*\b", r"{\g<0>}", escaped) if field == "title" else escaped


@lru_cache(maxsize=1 << 12)
def _flat(title: str) -> str:
    return re.sub(r"\W+", " ", title).strip().lower()
