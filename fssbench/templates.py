"""Pages by Jinja2, in which everything from outside, such as names of classes, files and methods, is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.escape import plain
from fssbench.extras import imported_extra

if TYPE_CHECKING:
    from jinja2 import Environment


def page_templates(folder: Path) -> Environment:
    """Return the templates of a folder.

    `style` and `script` are its style.css and script.js. The filter `plain` puts text on one line; `svg` takes a figure
    as it is, as matplotlib has escaped the names in it.

    Args:
        folder: The folder.

    Raises:
        MissingError: If Jinja2 is not installed.
    """
    jinja2 = imported_extra("jinja2", "the page is made by Jinja2, which can't be imported", "report")
    environment: Environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    markup = jinja2.utils.markupsafe.Markup
    environment.filters |= {"plain": lambda text: plain(str(text)), "svg": markup}
    for name in ("style.css", "script.js"):
        environment.globals[name.partition(".")[0]] = markup((folder / name).read_text(encoding="utf-8"))
    return environment
