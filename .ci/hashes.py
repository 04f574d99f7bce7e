"""Write locks/: the versions of constraints.txt with the hashes of their files, for `pip install --require-hashes`.

`make lock` runs it after .ci/lock.py. uv looks the hashes up, for all platforms and without downloading a package:

    runtime.txt    what fssbench imports, and what that needs; without torch
    tests.txt      what tests, style, types and wheel need besides
    tools.txt      what a make target of its own installs: docs, coverage, mutation
    torch.txt      torch as the package index has it; on Linux with what its CUDA build needs
    torch-cpu.txt  torch's build for processors alone, which is a tenth of the size and lies on an index of PyTorch's

For new hashes of the last, uv has to be told of that index (UV_INDEX), or PIP_FIND_LINKS of a folder of its wheels.
Those that are known of the same version are kept, as a folder may have the wheel of one Python only.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parent.parent
LOCK = REPOSITORY / "constraints.txt"
LOCKS = REPOSITORY / "locks"
HEAD = "# `make lock` writes this file from constraints.txt; .ci/hashes.py says what is in it.\n"
UNUSED = "yattag"
"""It has no wheel, and only the reports of cosmic-ray need it, which are not made."""
TESTS, TOOLS = "\n# tests, ", "\n# the documentation"
"""How the headings of constraints.txt begin that divide it."""

Blocks = dict[str, str]
"""Requirements with their hashes, of several lines each, by canonical name."""


def sections(text: str) -> tuple[list[str], list[str], list[str], str]:
    """Return what constraints.txt pins for fssbench, for its checks and for other targets, and the version of torch."""
    tested, _, after = text.partition(TOOLS)
    parts = (*tested.partition(TESTS)[::2], after)
    runtime, tests, tools = (
        [line for line in part.splitlines() if "==" in line and not line.startswith("#")] for part in parts
    )
    torch = next(line for line in runtime if line.startswith("torch=="))
    tools = [line for line in tools if not line.startswith(f"{UNUSED}==")]
    return [line for line in runtime if line != torch], tests, tools, torch.partition("==")[2]


def blocks(text: str) -> Blocks:
    """Return the requirements of a file that pip reads."""
    found = re.findall(r"^[A-Za-z0-9].*(?:\n[ \t].*)*", text, re.MULTILINE)
    return {canonicalize_name(re.split(r"[^A-Za-z0-9._-]", block, maxsplit=1)[0]): block for block in found}


def compiled(requirements: Iterable[str], *options: str) -> Blocks:
    """Return requirements as uv resolves them, each with the hashes of all its files.

    Raises:
        subprocess.CalledProcessError: If there are none that fit; uv says so itself.
    """
    command = [sys.executable, "-m", "uv", "pip", "compile", "-", "--quiet", "--universal", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--python-version", platform.python_version(), *options]
    done = subprocess.run(command, check=True, input="\n".join(requirements), stdout=subprocess.PIPE, text=True)
    return blocks(done.stdout)


def hashes(block: str) -> set[str]:
    """Return the hashes of a requirement."""
    return set(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))


def cpu_hashes(version: str, known: str, folders: Iterable[Path]) -> set[str]:
    """Return the hashes of torch's builds for processors: of an index or of wheels, and those known before.

    Args:
        version: As in "2.13.0".
        known: The text of torch-cpu.txt as it is.
        folders: Where wheels may be.

    Raises:
        SystemExit: If there are none.
    """
    name = f"torch=={version}+cpu"
    wheels = [path for folder in folders for path in sorted(folder.glob(f"torch-{version}+cpu-*.whl"))]
    found = {hashlib.sha256(path.read_bytes()).hexdigest() for path in wheels}
    old = blocks(known).get("torch", "")
    if old.startswith(f"{name} "):
        found |= hashes(old)
    if not wheels:
        try:
            found |= hashes(compiled([name], "--no-deps")["torch"])
        except subprocess.CalledProcessError:
            if not found:
                raise SystemExit(f"{name} is not found; set UV_INDEX to the index of PyTorch that has it") from None
    return found


def written(name: str, found: Iterable[str]) -> None:
    """Write one of the files."""
    LOCKS.mkdir(exist_ok=True)
    (LOCKS / name).write_text(HEAD + "".join(f"{block}\n" for block in found), encoding="utf-8")


def main() -> None:
    """Look all hashes up, and write."""
    runtime, tests, tools, version = sections(LOCK.read_text(encoding="utf-8"))
    for name, requirements in (("runtime.txt", runtime), ("tests.txt", tests), ("tools.txt", tools)):
        written(name, compiled(requirements, "--no-deps").values())
    pinned = {canonicalize_name(line.partition("==")[0]) for line in (*runtime, *tests, *tools)}
    built = compiled([f"torch=={version}"], "--constraint", str(LOCK))
    written("torch.txt", (block for name, block in built.items() if name not in pinned))
    cpu = LOCKS / "torch-cpu.txt"
    known = cpu.read_text(encoding="utf-8") if cpu.exists() else ""
    folders = [Path(folder) for folder in os.environ.get("PIP_FIND_LINKS", "").split() if "://" not in folder]
    found = sorted(cpu_hashes(version, known, folders))
    written(cpu.name, [" \\\n".join([f"torch=={version}+cpu", *(f"    --hash=sha256:{one}" for one in found)])])


if __name__ == "__main__":
    main()
