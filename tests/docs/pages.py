"""The pages of the documentation: written ones, generated ones, and the documents of the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from docs.generators import generated_pages

REPOSITORY = Path(__file__).resolve().parents[2]
WRITTEN = REPOSITORY / "docs"
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "benchmarks/baselines/README.md", "benchmarks/published/README.md")


@cache
def pages() -> dict[str, str]:
    """Return the text of every page by its path in docs/; those of the repository's documents begin with ../."""
    written = {path.relative_to(WRITTEN).as_posix(): path for path in sorted(WRITTEN.glob("*.md"))}
    found = {name: path.read_text(encoding="utf-8") for name, path in written.items()} | generated()
    return found | {f"../{name}": (REPOSITORY / name).read_text(encoding="utf-8") for name in DOCUMENTS}


@cache
def generated() -> dict[str, str]:
    """Return the text of every generated page by its path in docs/."""
    return generated_pages()


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for name, block in found if name == language]


def lines_of(text: str) -> list[str]:
    """Return the lines of all blocks of shell commands, continued lines as one, without comments at their start."""
    joined = [block.replace("\\\n", " ") for block in blocks(text, "sh")]
    return [line.strip() for block in joined for line in block.splitlines() if line.strip() and line[0] != "#"]


def commands() -> Iterator[tuple[str, str]]:
    """Yield each `fssbench` line of a block with its page, also those of indented blocks."""
    for name, text in pages().items():
        indented = [line.strip() for line in text.replace("\\\n", " ").splitlines() if re.match(r" {4}fssbench ", line)]
        for line in [*lines_of(text), *indented]:
            if match := re.match(r"(?:\$ |torchrun .* -m )?(fssbench .*)", line):
                yield name, match[1]


def in_text() -> Iterator[tuple[str, str]]:
    """Yield each `fssbench` command in running text with its page; it may lack what is left to the reader."""
    for name, text in pages().items():
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        for line in re.findall(r"`(fssbench [a-z][^`]*)`", prose):
            yield name, " ".join(line.split())


def heading_ids(text: str) -> set[str]:
    """Return the anchors of a page's headings, as the site's generator makes them."""
    from markdown_it import MarkdownIt  # comes with rich

    tokens = MarkdownIt().parse(text)
    titles = [
        "".join(child.content for child in tokens[n + 1].children or ())
        for n, token in enumerate(tokens)
        if token.type == "heading_open"
    ]
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}
