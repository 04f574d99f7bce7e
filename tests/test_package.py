"""What surrounds the code: versions that agree, pinned dependencies, make targets, documents whose commands exist."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import fssbench

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def read(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def canonical(requirement: str) -> str:
    """Return the distribution a requirement names, in lower case."""
    return re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def pins(text: str | None = None) -> dict[str, str]:
    """Return the pinned versions by distribution: of all that is tested, without what builds the site."""
    tested = read("constraints.txt").partition("\n# the documentation")[0] if text is None else text
    lines = [line for line in tested.splitlines() if line and not line.startswith("#")]
    return {canonical(name): version for name, _, version in (line.partition("==") for line in lines)}


def test_the_version_is_one() -> None:
    assert PROJECT["version"] == fssbench.__version__
    assert f"## [{fssbench.__version__}]" in read("CHANGELOG.md")
    assert re.search(rf"^version: {re.escape(fssbench.__version__)}$", read("CITATION.cff"), re.MULTILINE)


def test_the_licence_is_the_one_declared() -> None:
    assert read("LICENSE").startswith(f"{PROJECT['license']} License")
    assert re.search(rf"^license: {PROJECT['license']}$", read("CITATION.cff"), re.MULTILINE)


def requirements() -> list[str]:
    """Return what fssbench and its checks need; the extras that the checks take in are replaced by what they hold."""
    extras = PROJECT["optional-dependencies"]
    own = [extra for text in extras["dev"] if canonical(text) == "fssbench" for extra in Requirement(text).extras]
    checks = [text for text in extras["dev"] if canonical(text) != "fssbench"]
    assert set(own) == {"lite", "hub", "drive", "report"}, "what tests import is installed with them"
    return PROJECT["dependencies"] + checks + [text for extra in own for text in extras[extra]]


def test_every_dependency_is_pinned_and_torch_first() -> None:
    pinned = pins()
    assert next(iter(pinned.items())) == ("torch", "2.13.0")
    assert all(re.fullmatch(r"[\d.]+(\.post\d+)?", version) for version in pinned.values())
    needed = requirements()
    assert {canonical(requirement) for requirement in needed} - set(pinned) == set()


def reached(requirements: Iterable[str]) -> dict[str, str]:
    """Return the version of all that requirements need, as installed here; without what a CUDA build of torch needs."""
    found: dict[str, str] = {}
    waiting = [(text, "", "") for text in requirements]
    while waiting:
        text, extra, by = waiting.pop()
        requirement = Requirement(text)
        name = canonical(requirement.name)
        for_here = requirement.marker is None or requirement.marker.evaluate({"extra": extra})
        if not for_here or name in found or (by == "torch" and re.match(r"nvidia-|cuda-|triton", name)):
            continue
        held = distribution(name)
        found[name] = Version(held.version).public
        waiting += [(needed, extra, name) for extra in ("", *requirement.extras) for needed in held.requires or ()]
    return found


def test_the_lock_is_all_that_is_needed_and_what_is_tested() -> None:
    needed = requirements()
    assert reached(needed) == pins(), "make lock"


def test_what_builds_the_site_is_pinned_apart() -> None:
    apart = pins(read("constraints.txt").partition("\n# the documentation")[2].partition("\n")[2])
    assert {canonical(requirement) for requirement in PROJECT["optional-dependencies"]["docs"]} <= set(apart)
    assert not set(apart) & set(pins())
    # Where the extra is installed, in these versions.
    for name, version in apart.items():
        with contextlib.suppress(PackageNotFoundError):
            assert distribution(name).version == version


def test_the_lock_is_as_its_command_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / ".ci")
    lock = importlib.import_module("lock")
    needed = requirements()
    names = {canonical(line): line.partition("==")[0] for line in read("constraints.txt").splitlines()}
    held = {
        name: lock.Package(names[name], version, tuple(distribution(name).requires or ()))
        for name, version in reached(needed).items()
    }
    docs = read("constraints.txt").partition("\n# the documentation")[2].splitlines()[1:]
    site = dict(line.split("==") for line in docs if line and not line.startswith("#"))
    held |= {canonical(name): lock.Package(name, version, ()) for name, version in site.items()}
    assert lock.lock(held) == read("constraints.txt"), "make lock"
    # What nothing needs goes, what is needed in turn stays.
    assert lock.reached(["pandas"], held) >= {"pandas", "numpy", "python-dateutil", "tzdata"}
    assert "torch" not in lock.reached(["pandas"], held)


def locked(name: str) -> dict[str, tuple[str, int]]:
    """Return the versions in a file of locks/ by distribution, and how many hashes each has."""
    text = read(f"locks/{name}").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    version = r"[\w.-]+==([\w.+]+)(?: ; [^#]*?)?(?: +--hash=sha256:[0-9a-f]{64})+"
    found = [re.fullmatch(version, re.sub(" +", " ", line)) for line in lines]
    assert all(found), [line for line, one in zip(lines, found, strict=True) if one is None]
    pairs = zip(lines, found, strict=True)
    return {canonical(line): (one[1], line.count("--hash")) for line, one in pairs if one is not None}


def test_every_file_that_is_installed_has_a_hash() -> None:
    every = pins(read("constraints.txt"))
    # It has no wheel; .ci/hashes.py says why it is not missed.
    assert every.pop("yattag")
    runtime, tests, tools = (locked(f"{name}.txt") for name in ("runtime", "tests", "tools"))
    for cpu in (False, True):
        torch = locked("torch-cpu.txt" if cpu else "torch.txt")
        assert torch["torch"][0] == every["torch"] + ("+cpu" if cpu else "")
        # Each distribution in one file, so that a new version can't be in one and an old one in another.
        assert sum(map(len, (torch, runtime, tests, tools))) == len(torch | runtime | tests | tools)
    assert {name: version for name, (version, _) in (runtime | tests | tools).items()} | {
        "torch": every["torch"]
    } == every
    # A wheel for each Python and platform, where there is more than one.
    assert runtime["numpy"][1] > 20
    assert locked("torch-cpu.txt")["torch"][1] >= 6, "three Pythons, two kinds of processors"
    # What the wheel needs is what fssbench imports, and what that needs.
    assert set(reached(PROJECT["dependencies"])) - {"torch"} == set(runtime)


def test_hashes_of_one_pytorch_are_kept_and_those_of_another_are_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / ".ci")
    hashes = importlib.import_module("hashes")
    wheel = tmp_path / "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"
    wheel.write_bytes(b"a wheel")
    (tmp_path / "torch-2.12.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl").write_bytes(b"an old wheel")
    new = hashlib.sha256(b"a wheel").hexdigest()
    known = f"# a lock\ntorch==2.13.0+cpu \\\n    --hash=sha256:{'1' * 64} \\\n    --hash=sha256:{'2' * 64}\n"
    assert hashes.cpu_hashes("2.13.0", known, [tmp_path]) == {new, "1" * 64, "2" * 64}
    assert hashes.cpu_hashes("2.13.0", known.replace("2.13.0", "2.13.01"), [tmp_path]) == {new}

    def missing(*arguments: object) -> None:
        raise subprocess.CalledProcessError(1, ["uv"])

    monkeypatch.setattr(hashes, "compiled", missing)
    with pytest.raises(SystemExit, match=r"torch==2\.14\.0\+cpu is not found; set UV_INDEX"):
        hashes.cpu_hashes("2.14.0", known, [tmp_path])


def test_the_locks_are_divided_as_the_constraints_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / ".ci")
    hashes = importlib.import_module("hashes")
    runtime, tests, tools, torch = hashes.sections(read("constraints.txt"))
    assert torch == pins()["torch"]
    assert ("numpy" in " ".join(runtime), "pytest==" in " ".join(tests), "mkdocs==" in " ".join(tools)) == (True,) * 3
    for name, requirements in (("runtime", runtime), ("tests", tests), ("tools", tools)):
        assert {canonical(line) for line in requirements} == set(locked(f"{name}.txt"))
        assert set(hashes.blocks(read(f"locks/{name}.txt"))) == {
            canonicalize_name(line.partition("==")[0]) for line in requirements
        }


def test_the_lock_keeps_torch_and_what_is_asked_to_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / ".ci")
    lock = importlib.import_module("lock")
    given: list[list[str]] = []

    def resolved(requirements: list[str], constraints: list[str]) -> dict[str, object]:
        given.append(sorted(constraints))
        names = {canonical(text) for text in requirements}
        return {name: lock.Package(name, "3.0" if name == "numpy" else "1.0", ()) for name in names}

    monkeypatch.setattr(lock, "resolved", resolved)
    monkeypatch.setattr(lock, "LOCK", tmp_path / "constraints.txt")
    for arguments in ([], ["--upgrade"], ["--torch", "9.9"], ["--upgrade", "--torch", "9.9"]):
        (tmp_path / "constraints.txt").write_text("# a lock\ntorch==2.13.0\nNumPy==2.4.6\n")
        monkeypatch.setattr(sys, "argv", ["lock.py", *arguments])
        lock.main()
        assert "\nnumpy==3.0\n" in (tmp_path / "constraints.txt").read_text()
    both = ["numpy==2.4.6", "torch==2.13.0"]
    assert given == [both, ["torch==2.13.0"], ["numpy==2.4.6", "torch==9.9"], ["torch==9.9"]]


def imports_of(folder: str) -> set[str]:
    return {
        name.partition(".")[0]
        for path in (REPOSITORY / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }


def test_what_is_imported_is_what_is_declared() -> None:
    providers = packages_distributions()
    # pytest alone loads the plugin, so that it need not come with fssbench.
    foreign = imports_of("fssbench") - set(sys.stdlib_module_names) - {"fssbench", "pytest", ""}
    imported = {providers[name][0].lower().replace("_", "-") for name in foreign}
    # Imported where it is used, and missed with a sentence.
    extras = PROJECT["optional-dependencies"]
    optional = {canonical(text) for extra in ("slurm", "lite", "hub", "drive", "report") for text in extras[extra]}
    optional |= {"huggingface-hub"}  # comes with transformers
    assert imported - optional == {canonical(requirement) for requirement in PROJECT["dependencies"]}


@pytest.mark.parametrize(
    "target",
    [
        *(
            "demo",
            "demo-full",
            "test",
            "test-all",
            "test-long",
            "test-random",
            "coverage",
            "mutation",
            "lint",
            "check",
        ),
        *("fuzz", "fuzz-guided", "gpu", "docs", "wheel", "lock", "clean"),
    ],
)
def test_make_target(target: str, tmp_path: Path) -> None:
    plan = subprocess.run(
        ["make", "--dry-run", "SEED=1", f"VENV={tmp_path / 'venv'}", f"PYTHON={sys.executable}", target],
        check=True, capture_output=True, text=True, cwd=REPOSITORY,
    ).stdout  # fmt: skip
    installs = plan.find("--no-deps --no-build-isolation --editable .")
    work = {
        "demo": "fssbench demo",
        "demo-full": "fssbench table",
        "lint": "mypy",
        "wheel": "-m build",
        "clean": "rm -rf",
    }
    # The examples in docstrings are tests, too.
    examples = "--doctest-modules tests fssbench"
    work |= {"test": f"{examples} -m 'not slow'", "test-all": examples}
    work["docs"] = "mkdocs build --strict"
    work["gpu"] = "-m pytest --quiet -m gpu tests/gpu"
    work |= {"check": "fssbench check --against baseline", "lock": "python .ci/hashes.py"}
    work["test-long"] = "--long -m long tests"
    work |= {"test-random": f"{examples} -m 'not slow' --shuffle 1", "coverage": "coverage report"}
    work |= {"mutation": "-m tests.mutation", "fuzz": "-m tests.fuzz ", "fuzz-guided": "-m tests.fuzz.guided "}
    works = plan.find(work[target])
    assert works > installs
    assert (installs >= 0) == (target != "clean")
    # Nothing is installed without a hash but the checkout, and what only writes the locks.
    unlocked = {line for line in plan.splitlines() if " install " in line and "--require-hashes" not in line}
    assert len(unlocked) == {"clean": 0, "lock": 2}.get(target, 1)


def test_an_old_python_is_told_in_a_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo 'Python 3.9.2' && exit\nexit 1\n")
    old.chmod(0o755)
    answer = subprocess.run(
        ["make", f"VENV={tmp_path / 'venv'}", f"PYTHON={old}", "lint"],
        check=False, capture_output=True, text=True, cwd=REPOSITORY,
    )  # fmt: skip
    assert answer.returncode == 2
    assert f"fssbench needs Python 3.11 or newer, and {old} is Python 3.9.2" in answer.stderr
    assert not (tmp_path / "venv").exists()


def test_ci_runs_style_types_tests_and_baselines() -> None:
    assert os.access(REPOSITORY / ".ci" / "run", os.X_OK)
    assert re.search(
        r"^set -euo pipefail$.*^make --jobs 2 lint test-all$.*^make check$", read(".ci/run"), re.MULTILINE | re.DOTALL
    )
    runs = re.findall(r"run: make (?:PYTHON=\S+ )?([\w-]+)", read(".github/workflows/ci.yml"))
    assert runs == ["lint", "test-all", "test-long", "test-random", "coverage", "docs", "check"]


def test_ci_tests_every_python_that_is_declared() -> None:
    declared = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python ::" in line]
    assert declared == ["3.11", "3.12", "3.13"]
    for workflow in ("ci.yml", "release.yml"):
        assert f"python: {json.dumps(declared)}" in read(f".github/workflows/{workflow}")


def test_lint_holds_style_spelling_and_types_before_each_commit_too() -> None:
    rule = read("Makefile").partition("\nlint: ")[2].partition("\n\n")[0]
    tools = re.findall(r"\$\(BIN\)/(\w+)", rule)
    assert tools == ["ruff", "ruff", "codespell", "mypy"]
    assert re.findall(r"entry: \.venv/bin/(\w+)", read(".pre-commit-config.yaml")) == [
        "ruff",
        "ruff",
        "mypy",
        "codespell",
    ]


def test_the_spelling_check_finds_mistakes(tmp_path: Path) -> None:
    wrong = tmp_path / "notes.md"
    wrong.write_text("Teh query is recieved.\n")  # codespell:ignore teh,recieved
    found = subprocess.run(
        [sys.executable, "-m", "codespell_lib", "--toml", str(REPOSITORY / "pyproject.toml"), str(wrong)],
        check=False, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert found.returncode != 0
    assert len(found.stdout.splitlines()) == 2


def test_actions_are_named_by_the_hash_of_a_commit() -> None:
    used = [line for path in sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
            for line in path.read_text().splitlines() if "uses:" in line]  # fmt: skip
    assert len(used) > 10
    assert [line for line in used if not re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)] == []


def test_a_release_is_built_tested_and_attested_in_this_order() -> None:
    text = read(".github/workflows/release.yml")
    steps = [
        "make lint test-all check",
        "make wheel",
        "dist/*.whl",
        "check --against baseline",
        "attest-build-provenance",
    ]
    places = [text.find(step) for step in steps]
    assert places == sorted(places)
    assert -1 not in places
    assert re.findall(r"needs: (\w+)", text) == ["build", "test"]
    # Only the last job may write anything.
    assert "write" not in text.partition("\n  attest:")[0]


def test_the_version_in_a_tag_is_read_from_the_project() -> None:
    command = re.search(r"\$\((sed .*?)\)\"$", read(".github/workflows/release.yml"), re.MULTILINE)
    assert command is not None
    found = subprocess.run(
        ["sh", "-c", command[1]], check=True, capture_output=True, text=True, cwd=REPOSITORY
    )  # fmt: skip
    assert found.stdout.strip() == fssbench.__version__


def code_blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", read(name), re.MULTILINE | re.DOTALL)


def test_the_python_of_its_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = code_blocks("docs/python.md", "python")
    assert blocks
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), {})  # noqa: S102 - the project's own text
