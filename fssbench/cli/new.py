"""`fssbench new`: files to begin with."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from fssbench.cli.console import say
from fssbench.errors import UsageError
from fssbench.files import PACKAGE, write_text

app = typer.Typer(no_args_is_help=True, help="Write files to begin with: a method of your own and its test.")


@app.callback()
def _group() -> None:
    """Keep `method` a command of its own where it is the only one."""


@app.command("method")
def method(
    name: Annotated[str, typer.Argument(help="Its name, as Python takes it: mynet writes mynet.py and test_mynet.py.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files of these names.")] = False,
) -> None:
    """Write NAME.py, a prototype network that works as it stands, and test_NAME.py, which passes."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or keyword.iskeyword(name):
        raise UsageError(f"'{name}' is no name of a Python module", "letters, digits and _: fssbench new method mynet")
    cls = name[0].upper() + name[1:]
    words = {"file": f"{name.lower()}.py", "cls": cls, "title": cls}
    paths = {"method.py.txt": Path(f"{name.lower()}.py"), "test_method.py.txt": Path(f"test_{name.lower()}.py")}
    for path in paths.values():
        if path.exists() and not overwrite:
            raise UsageError(f"{path} is there already", "--overwrite to replace it, or another name")
    for source, path in paths.items():
        template = (PACKAGE / "methods" / "own" / "templates" / source).read_text(encoding="utf-8")
        write_text(path, Template(template).substitute(words))
        say(f"wrote {path}")
    say(
        f"try: fssbench eval --method ./{name.lower()}.py:{cls} --random-weights --dataset shapes20i --fold 0",
        f"     fssbench validate ./{name.lower()}.py:{cls}",
    )
