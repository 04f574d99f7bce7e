"""Every command of docs/own-method.md works, one after the other, in an empty folder."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "own-method.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
QUICK = {"--steps 30": "--steps 1", "--limit 40": "--limit 4"}
"""What takes its time on the page."""


@pytest.mark.usefixtures("elsewhere")
def test_every_command_works(fssbench: Any) -> None:
    assert len(COMMANDS) == 9
    said = []
    for line in COMMANDS:
        quick = line
        for long, short in QUICK.items():
            quick = quick.replace(long, short)
        program, *arguments = shlex.split(quick)
        if program == "python":
            done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
            code, out, err = done.returncode, done.stdout, done.stderr
        else:
            code, out, err = fssbench(*arguments, *(["--batch", "2"] if arguments[0] == "train" else []))
        assert code == 0, (line, out, err)
        said.append(out)
    table = said[6]
    assert "HSNet" in table
    assert "mynet.py:Mynet" in table
    assert "toprule" in said[7]
    assert "MyNet (ours)" in said[7]


@pytest.mark.usefixtures("elsewhere")
def test_the_function_of_the_page_is_a_method(fssbench: Any) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    Path("mine.py").write_text(code)
    asked = ["--dataset", "shapes20i", "--fold", "0", "--limit", "2", "--quiet", "--out", "run"]
    assert fssbench("eval", "--method", "mine.py:first_mask", *asked)[0] == 0
