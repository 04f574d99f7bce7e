"""The pages of the site that are made of data, at build time: methods, data sets, protocols, commands, Python.

They need fssbench alone, not the site's generator, so that a test makes them wherever fssbench is installed.
"""

from __future__ import annotations

from .command_pages import command_pages
from .dataset_pages import dataset_pages
from .method_pages import method_families, method_pages
from .protocol_pages import protocol_pages
from .python_pages import python_pages

__all__ = ["generated_pages", "method_families"]


def generated_pages() -> dict[str, str]:
    """Return the Markdown of each generated page by its path in the site, in the order of the navigation."""
    return {**method_pages(), **dataset_pages(), **protocol_pages(), **command_pages(), **python_pages()}
