"""Write constraints.txt: the exact version of every package that fssbench and its checks need.

`make lock` keeps the versions that are pinned, adds what pyproject.toml newly needs and drops what nothing needs;
`make lock UPGRADE=1` takes the newest versions that fit pyproject.toml and each other. torch stays as it is in both
cases, as the committed numbers were measured with it; `make lock TORCH=2.14.0` moves it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parent.parent
LOCK = REPOSITORY / "constraints.txt"
HEAD = """\
# The lock: exact versions that fssbench is tested with. `make lock` writes it; .ci/lock.py says how.
#   pip install -c constraints.txt -e '.[dev]'     fssbench in these versions
#   pip install -r constraints.txt                 these versions alone
# It has no hashes: pip would then refuse to install the checkout, which has none. locks/ has the same versions with
# hashes, and the Makefile installs from there. On Linux without a graphics card install PyTorch's CPU build of this
# version first; pip takes it for the one that is pinned.
"""

TOOLS = "the documentation as a site, coverage and mutation testing, each for a target of its own"
"""The heading of what the tests do without."""


@dataclass(frozen=True)
class Package:
    """A resolved distribution.

    Attributes:
        name: As its own metadata spells it.
        version: Without the part that names a build, such as "+cpu".
        requires: Its requirements.
    """

    name: str
    version: str
    requires: tuple[str, ...]


def needed() -> tuple[list[str], list[str], list[str]]:
    """Return the requirements of fssbench itself, of its checks, and of what some targets need, from pyproject.toml.

    Of the checks' requirements, fssbench's own extras are replaced by what they hold.
    """
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    checks: list[str] = []
    for text in extras["dev"]:
        one = Requirement(text)
        own = canonicalize_name(one.name) == canonicalize_name(project["name"])
        checks += [text for extra in sorted(one.extras) for text in extras[extra]] if own else [text]
    tools = [text for extra in ("docs", "coverage", "mutation") for text in extras[extra]]
    return project["dependencies"], checks, tools


def pinned(text: str) -> dict[str, str]:
    """Return the versions in a lock by canonical name."""
    requirements = (line.strip() for line in text.splitlines())
    pairs = (line.partition("==") for line in requirements if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, _, version in pairs}


def resolved(requirements: Iterable[str], constraints: Iterable[str]) -> dict[str, Package]:
    """Return what pip would install for requirements, by canonical name; nothing is installed.

    Raises:
        subprocess.CalledProcessError: If pip finds no versions that fit each other; it says so itself.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, report = Path(folder) / "given.txt", Path(folder) / "report.json"
        given.write_text("\n".join(constraints), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run"]
        command += ["--ignore-installed", "--constraint", str(given), "--report", str(report), *requirements]
        subprocess.run(command, check=True)
        items = json.loads(report.read_text(encoding="utf-8"))["install"]
    known = [item["metadata"] for item in items]
    return {canonicalize_name(metadata["name"]): package(metadata) for metadata in known}


def package(metadata: Mapping[str, object]) -> Package:
    """Return a package from the metadata in pip's report."""
    requires = metadata.get("requires_dist", ())
    assert isinstance(requires, list | tuple)
    return Package(str(metadata["name"]), Version(str(metadata["version"])).public, tuple(map(str, requires)))


def reached(requirements: Iterable[str], packages: Mapping[str, Package]) -> set[str]:
    """Return the canonical names of what requirements need, themselves included, on this Python."""
    found: set[str] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name not in packages:
            continue
        for wanted in {"", *requirement.extras} if name not in found else requirement.extras:
            waiting += [(Requirement(text), wanted) for text in packages[name].requires]
        found.add(name)
    return found


def lock(packages: Mapping[str, Package]) -> str:
    """Return the text of the lock: what is named in pyproject.toml apart from what that needs in turn."""
    runtime, checks, tools = needed()
    named = [{str(canonicalize_name(Requirement(text).name)) for text in texts} for texts in (runtime, checks, tools)]
    below = reached(runtime, packages)
    tested = reached([*runtime, *checks], packages)
    groups: dict[str, set[str]] = {
        "what fssbench imports": named[0],
        "what that needs": below - named[0],
        "tests, style, spelling, types, wheel": named[1] - below,
        "what those need": tested - below - named[1],
        TOOLS: named[2],
        "what that needs, too": set(packages) - tested - named[2],
    }
    text = HEAD
    for title, names in groups.items():
        # torch comes first: it decides the numbers.
        ordered = sorted(names, key=lambda name: (name != "torch", name))
        text += f"\n# {title}\n" + "".join(f"{packages[name].name}=={packages[name].version}\n" for name in ordered)
    return text


def main() -> None:
    """Resolve and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions of all but torch")
    parser.add_argument("--torch", help="take this version of torch")
    args = parser.parse_args()
    old = pinned(LOCK.read_text(encoding="utf-8"))
    kept = {"torch": old["torch"]} if args.upgrade else dict(old)
    if args.torch:
        kept["torch"] = args.torch
    runtime, checks, tools = needed()
    packages = resolved([*runtime, *checks, *tools], [f"{name}=={version}" for name, version in kept.items()])
    LOCK.write_text(lock(packages), encoding="utf-8")
    new = pinned(lock(packages))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            print(f"{name}: {old.get(name, 'new')} -> {new.get(name, 'gone')}")


if __name__ == "__main__":
    main()
