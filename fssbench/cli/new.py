"""`fssbench new`: files to begin with."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from fssbench.cli.console import say
from fssbench.cli.help import Command, Group
from fssbench.errors import UsageError
from fssbench.files import PACKAGE, write_text

app = typer.Typer(cls=Group, help="Write files to begin with: a method or a protocol of your own.")


@app.command("method", cls=Command)
def method(
    name: Annotated[str, typer.Argument(help="Its name, as Python takes it: mynet writes mynet.py and test_mynet.py.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files of these names.")] = False,
) -> None:
    """Write NAME.py, a prototype network that works as it stands, and test_NAME.py, which passes.

    Examples:
        fssbench new method mynet
        fssbench new method mynet --overwrite
    """
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


@app.command("protocol", cls=Command)
def protocol(
    name: Annotated[str, typer.Argument(help="Its name: mine writes mine.toml.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file of this name.")] = False,
) -> None:
    """Write NAME.toml, HSNet's protocol with fewer episodes and smaller photos, to be changed.

    Examples:
        fssbench new protocol mine
        fssbench new protocol mine --overwrite
    """
    from fssbench.protocols.rules import shipped_protocols

    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", name):
        raise UsageError(f"'{name}' is no name of a protocol", "letters, digits, _ and -: fssbench new protocol mine")
    if name in shipped_protocols():
        raise UsageError(f"'{name}' is one of fssbench's own protocols", "another name")
    path = Path(f"{name}.toml")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} is there already", "--overwrite to replace it, or another name")
    template = (PACKAGE / "protocols" / "mine.toml.txt").read_text(encoding="utf-8")
    write_text(path, Template(template).substitute(name=name))
    say(f"wrote {path}", f"try: fssbench episodes show --protocol ./{path} --dataset shapes20i")
