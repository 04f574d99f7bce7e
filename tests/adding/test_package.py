"""A package of somebody else that brings a method, a data set and protocols, through entry points alone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from string import Template

import pytest

import fssbench

TOYS = Path(__file__).parent
TEMPLATE = Path(fssbench.__file__).parent / "protocols" / "mine.toml.txt"
TEXT = Template(TEMPLATE.read_text()).substitute(name="toys")

ENTRY_POINTS = """
[fssbench.methods]
toynet = toys.method:Toy
plain = toys.plain:Plain
number = toys.plain:NUMBER
torn = toys.torn:Net

[fssbench.datasets]
toy = toys.dataset:Toy

[fssbench.protocols]
toys = toys:PROTOCOLS
hsnet = toys:PROTOCOLS
broken = toys:missing
"""
PLAIN = """
NUMBER = 3

class Plain:
    def encode(self, image):
        return image.mean(dim=1)

    def condition(self, features, mask):
        return mask

    def predict(self, query, supports, size):
        return supports[0][0][0].long() % 2
"""
COMMIT = "0123456789abcdef" * 2 + "01234567"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package and what pip writes of it."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "toys").mkdir()
    (folder / "toys" / "__init__.py").write_text(
        'from importlib.resources import files\n\nPROTOCOLS = files("toys") / "protocols.toml"\n'
    )
    (folder / "toys" / "protocols.toml").write_text(TEXT.replace('"shapes20i"]', '"shapes20i", "toy"]'))
    shutil.copyfile(TOYS / "toy_method.py", folder / "toys" / "method.py")
    shutil.copyfile(TOYS / "toy_dataset.py", folder / "toys" / "dataset.py")
    (folder / "toys" / "plain.py").write_text(PLAIN)
    (folder / "toys" / "torn.py").write_text("import no_such_module\n")
    about = folder / "toys-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    vcs = {"vcs": "git", "commit_id": COMMIT, "requested_revision": "main"}
    (about / "direct_url.json").write_text(json.dumps({"url": "https://example.org/toys.git", "vcs_info": vcs}))
    return folder


def run(packages: Path, folder: Path, *commands: str) -> list[tuple[int, str, str]]:
    """Run commands in one process that finds the package, and return their codes, output and messages."""
    script = (
        "import contextlib, io, json, sys\nfrom fssbench.cli import _run\nsaid = []\n"
        f"for line in {commands!r}:\n"
        "    out, err = io.StringIO(), io.StringIO()\n"
        "    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):\n"
        "        sys.argv = ['fssbench', *line.split()]\n"
        "        code = _run(line.split())\n"
        "    said.append((code, out.getvalue(), err.getvalue()))\n"
        "print(json.dumps(said))\n"
    )
    path = os.pathsep.join([str(Path(fssbench.__file__).parents[1]), str(packages)])
    environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "250", "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, cwd=folder, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[tuple[int, str, str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_what_a_package_brings_is_evaluated(packages: Path, tmp_path: Path) -> None:
    quick = "--fold 0 --limit 2 --quiet"
    said = run(
        packages,
        tmp_path,
        "list protocols",
        "list datasets",
        f"eval --method copy-mask --dataset toy {quick} --out a",
        f"eval --method toynet --random-weights --dataset toy --protocol toys {quick} --out b",
        f"eval --method copy-mask --dataset shapes20i --protocol toys@original {quick} --out c",
        f"eval --method copy-mask --dataset toy --protocol broken {quick} --out d",
        "episodes export --dataset toy --protocol toys --count 2 --out list.json",
        f"eval --method copy-mask --dataset toy --episodes list.json {quick} --out e",
        "table --source measured --dataset toy --runs .",
        "eval --replay b --quiet",
    )
    codes = [code for code, _, _ in said]
    assert codes == [0, 0, 0, 0, 0, 2, 0, 0, 0, 0], said
    protocols, datasets, first, second, third, broken, _, _, table, repeated = ("".join(texts) for _, *texts in said)
    assert "rows      2 equal" in repeated
    assert "the package toys" in next(line for line in protocols.splitlines() if line.startswith("toys "))
    line = next(line for line in protocols.splitlines() if line.startswith("broken "))
    assert "can't be read" in line
    assert "the package toys provides a protocol 'hsnet', which is left out" in protocols
    assert "toys" in next(line for line in datasets.splitlines() if line.startswith("toy "))
    assert "drawn by hsnet" in first, "every protocol takes a data set of a package; the method's release decides"
    assert "protocol toys is not one of fssbench's: of the package toys" in second
    assert "protocol toys@original is not one of fssbench's" in third
    assert "the protocol 'broken' of the package toys can't be loaded: AttributeError" in broken
    assert "toys (toys, " in table
    record = json.loads((tmp_path / "b" / "run.json").read_text())
    assert (record["dataset"]["name"], record["protocol"]["own"]["package"]) == ("toy", "toys")
    method = (packages / "toys" / "method.py").read_bytes()
    held = {"name": "toys", "version": "1.0", "commit": COMMIT, "editable": False}
    assert record["method"]["package"] == held | {
        "file": "toys/method.py",
        "sha256": hashlib.sha256(method).hexdigest(),
    }
    assert {name: record["dataset"]["package"][name] for name in held} == held
    assert record["dataset"]["package"]["file"] == "toys/dataset.py"
    assert f"toynet is of the package toys 1.0, commit {COMMIT[:12]}, toys/method.py sha256" in second
    # Another commit is another run; one of an earlier version, which did not record it, goes on.
    again = f"eval --method toynet --random-weights --dataset toy --protocol toys {quick} --out b --resume"
    direct = packages / "toys-1.0.dist-info" / "direct_url.json"
    was = direct.read_text()
    direct.write_text(was.replace(COMMIT, COMMIT[::-1]))
    [(code, _, message)] = run(packages, tmp_path, again)
    assert (code, "method.package.commit" in message) == (2, True), message
    direct.write_text(was)
    del record["method"]["package"], record["dataset"]["package"]
    (tmp_path / "b" / "run.json").write_text(json.dumps(record))
    [(code, _, message)] = run(packages, tmp_path, again)
    assert code == 0, message


def test_a_method_of_a_package_need_not_inherit_from_anything(packages: Path, tmp_path: Path) -> None:
    quick = "--dataset shapes20i --fold 0 --limit 2 --quiet"
    plain, number, torn, listed, wild = run(
        packages,
        tmp_path,
        *(f"eval --method {name} --random-weights {quick} --out {name}" for name in ("plain", "number", "torn")),
        "list methods plain",
        f"eval --method to*,copy-mask --backbone small {quick} --out wild",
    )
    assert plain[0] == 0, plain
    method = json.loads((tmp_path / "plain" / "run.json").read_text())["method"]
    assert (method["name"], method["code"], method["package"]["name"]) == ("plain", None, "toys")
    assert number[0] == 2
    assert "toys.plain:NUMBER is neither a class nor a function" in number[2]
    assert torn[0] == 2
    assert "the method 'torn' of the package toys can't be loaded: ModuleNotFoundError: No module" in torn[2]
    assert listed[0] == 0
    assert listed[1].startswith("plain\n")
    assert wild[0] == 0, "a package that can't be loaded is left out where only a wildcard stands for it"
    assert "rows: wild/copy-mask" in wild[1]


def test_where_the_package_is_not_a_run_still_explains_itself(packages: Path, tmp_path: Path) -> None:
    asked = "eval --method copy-mask --dataset shapes20i --protocol toys --fold 0 --limit 4 --quiet --out run"
    made = run(packages, tmp_path, f"{asked} --shard 1/2", f"{asked} --shard 2/2")
    assert [code for code, _, _ in made] == [0, 0]
    said = run(
        tmp_path / "nothing", tmp_path, "merge run", "table --source measured --dataset shapes20i --runs run", asked
    )
    assert [code for code, _, _ in said] == [0, 0, 2]
    assert "protocol toys is not one of fssbench's: of the package toys" in said[0][1]
    assert "unknown protocol 'toys'" in said[2][2]


def test_a_method_of_a_package_is_listed_without_importing_it(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')\n")
    path = os.pathsep.join([str(tmp_path), str(Path(fssbench.__file__).parents[1]), str(packages)])
    environment = os.environ | {"PYTHONPATH": path}
    listed = {}
    for command in (["list", "methods"], ["list", "methods", "--json"], ["list", "backbones"]):
        done = subprocess.run(
            [sys.executable, "-m", "fssbench", *command], check=False, capture_output=True, text=True, env=environment
        )
        assert (done.returncode, done.stderr) == (0, ""), command
        listed[" ".join(command)] = done.stdout
    line = next(line for line in listed["list methods"].splitlines() if line.startswith("toynet "))
    assert "the package toys; fssbench list methods toynet reads it" in line
    [toynet] = [row for row in json.loads(listed["list methods --json"]) if row["name"] == "toynet"]
    assert (toynet["training"], toynet["tasks"]) == ("unknown", [])
