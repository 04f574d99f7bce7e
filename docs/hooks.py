"""What the site's generator runs: it adds the generated pages, and lets links into the repository lead to copies."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from generators import generated_pages, method_families
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).parent.parent
DOCUMENTS = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "SECURITY.md": "security.md"}
DOCUMENTS |= {"benchmarks/baselines/README.md": "baselines.md", "benchmarks/published/README.md": "published.md"}
"""Documents of the repository that are pages of the site, too."""

_LINK = re.compile(r"\]\((?P<path>[^)#:\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Append the generated pages to the section of the navigation that begins with their index."""
    config["pages"] = generated_pages()
    nav: list[Any] = config.nav or []
    _section(nav, "methods/index.md")[1:1] = [{family: paths} for family, paths in method_families().items()]
    for folder in ("datasets", "protocols", "reference/commands"):
        section = _section(nav, f"{folder}/index.md")
        section += [
            path for path in config["pages"] if posixpath.dirname(path) == folder and path not in _paths(section)
        ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is generated, and the documents of the repository."""
    for path, text in config["pages"].items():
        files.append(File.generated(config, path, content=text))
    for name, path in DOCUMENTS.items():
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        files.append(File.generated(config, path, content=text.replace("](docs/", "](")))
    for name in sorted(_linked_files(files)):
        files.append(File.generated(config, f"files/{name}", abs_src_path=str(REPOSITORY / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Let links out of docs/ lead to the copies in the site."""
    here = posixpath.dirname(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        target = _in_repository(link["path"], page.file.src_uri)
        if target is None:
            return link[0]
        path = DOCUMENTS.get(target, f"files/{target}")
        return f"]({posixpath.relpath(path, here or '.')}{link['anchor'] or ''})"

    return _LINK.sub(moved, markdown)


def _in_repository(path: str, page: str) -> str | None:
    """Return the path in the repository of what a page of docs/ links to outside of docs/, or a document there."""
    if page in DOCUMENTS.values():
        target = posixpath.normpath(path)
        inside = (REPOSITORY / "docs" / target).exists()
        return target if (REPOSITORY / target).is_file() and not inside else None
    target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), path))
    outside = not target.startswith("docs/") and (REPOSITORY / target).is_file()
    return target if outside else None


def _linked_files(files: Files) -> set[str]:
    """Return the files of the repository to which pages link."""
    found = set()
    for file in files.documentation_pages():
        for link in _LINK.finditer(file.content_string):
            target = _in_repository(link["path"], file.src_uri)
            if target is not None and target not in DOCUMENTS:
                found.add(target)
    return found


def _section(nav: list[Any], index: str) -> list[Any]:
    """Return the list in a navigation that holds a page."""
    for item in nav:
        for inner in item.values() if isinstance(item, dict) else ():
            if isinstance(inner, list):
                if index in _paths(inner):
                    return inner
                found = _section(inner, index)
                if found:
                    return found
    return []


def _paths(section: list[Any]) -> list[str]:
    return [path for item in section for path in (item.values() if isinstance(item, dict) else [item])]
