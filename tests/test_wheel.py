"""The built wheel, installed away from the checkout: it holds what it needs and answers like the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import fssbench

REPOSITORY = Path(__file__).resolve().parent.parent
NOT_PYTHONS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "FSSBENCH_DATA")


@dataclass(frozen=True)
class Built:
    wheel: Path
    sdist: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The source archive of the checkout, and the wheel of that archive."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(REPOSITORY)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=out)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = out.glob("*.whl")
    [sdist] = out.glob("*.tar.gz")
    return Built(wheel, sdist)


@dataclass(frozen=True)
class Installed:
    """A fresh environment that holds the wheel and sees the dependencies installed here, but not the checkout."""

    folder: Path
    empty: Path

    def run(self, *command: str, timeout: int = 120) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name not in NOT_PYTHONS}
        return subprocess.run(
            [self.folder / "bin" / command[0], *command[1:]],
            check=False, capture_output=True, text=True, cwd=self.empty, env=environment, timeout=timeout,
        )  # fmt: skip


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    # A path file adds the folder of the dependencies; path files in there, such as the checkout's own, don't count.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--ignore-installed"]
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", *options]
    subprocess.run([*pip, str(built.wheel)], check=True, capture_output=True)
    return Installed(folder, tmp_path_factory.mktemp("empty"))


def tree(folder: str) -> set[str]:
    """Return the files under a folder of the checkout, without what Python makes."""
    return {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = set(archive.namelist())
    about = {name for name in names if name.startswith(f"fssbench-{fssbench.__version__}.dist-info/")}
    data = {"checkpoints.toml", *tree("benchmarks/published"), *tree("benchmarks/baselines")}
    assert names - about == tree("fssbench") | {f"fssbench/shipped/{name}" for name in data}
    assert {name.rpartition("/")[2] for name in about} == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "LICENSE"}
    for needed in ("py.typed", "protocols/protocols.toml", "methods/methods.toml", "shipped/checkpoints.toml"):
        assert f"fssbench/{needed}" in names
    assert any(name.endswith(".safetensors") for name in names)
    assert any(name.startswith("fssbench/shipped/benchmarks/published/") for name in names)


def test_the_source_archive_can_be_tested(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("fssbench", "tests", "benchmarks"):
        assert tree(folder) - names == set()
    for file in (
        "pyproject.toml",
        "constraints.txt",
        "Makefile",
        "README.md",
        "LICENSE",
        "SECURITY.md",
        "conftest.py",
        ".editorconfig",
        ".pre-commit-config.yaml",
        ".ci/run",
        ".ci/lock.py",
        ".github/pull_request_template.md",
        ".github/ISSUE_TEMPLATE/bug.yml",
        ".github/workflows/ci.yml",
        ".github/workflows/release.yml",
    ):
        assert file in names


def test_the_package_imported_is_the_wheels(installed: Installed) -> None:
    answer = installed.run("python", "-c", "import fssbench, torch; print(fssbench.__file__)")
    assert Path(answer.stdout.strip()).is_relative_to(installed.folder)


@pytest.mark.parametrize(
    "command",
    [
        "--version",
        "--help",
        "list methods",
        "list protocols",
        "table",
        "table --compare hsnet,ntrenet --format markdown",
        "checkpoints list",
        "data where",
    ],
)
def test_the_wheel_answers_like_the_checkout(command: str, installed: Installed, tmp_path: Path) -> None:
    answer = installed.run("fssbench", *command.split())
    assert (answer.returncode, answer.stderr) == (0, "")
    here = subprocess.run(
        [sys.executable, "-m", "fssbench", *command.split()],
        check=True, capture_output=True, text=True, cwd=tmp_path,  # whose runs are not in the repository's tables
    )  # fmt: skip
    assert answer.stdout == here.stdout


@pytest.mark.slow
def test_the_demonstration_of_the_wheel_prints_what_the_readme_shows(installed: Installed) -> None:
    answer = installed.run("fssbench", "demo", timeout=600)
    assert answer.returncode == 0, answer.stderr
    shown = (REPOSITORY / "README.md").read_text(encoding="utf-8").partition("fssbench demo ")[2].split("```")[2]
    assert shown.strip().startswith("shapes20i, 1-way 1-shot: ")
    assert answer.stdout.startswith(shown.strip() + "\n\nWhat to try next:\n")


def test_the_wheel_evaluates_with_the_weights_it_ships(installed: Installed) -> None:
    answer = installed.run(
        *"fssbench eval --method hsnet --dataset shapes20i --fold 0 --limit 2 --out run".split()  # noqa: SIM905
    )
    assert answer.returncode == 0, answer.stderr
    assert list((installed.empty / "run").rglob("run.json"))


def test_pytest_finds_the_wheels_fixture_by_itself(installed: Installed) -> None:
    answer = installed.run("python", "-m", "pytest", "--fixtures", "-p", "no:cacheprovider")
    assert "fssbench_check [session scope]" in answer.stdout, answer.stdout + answer.stderr
    twice = installed.run("python", "-m", "pytest", "--version", "-p", "fssbench.pytest_plugin")
    assert twice.returncode == 0, twice.stderr
