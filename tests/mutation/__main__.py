"""Change one line after the other of the modules that decide numbers, and see whether a test fails.

`make mutation` runs it, for all modules of modules.toml or for MODULES="metrics.counts metrics.runs". A mutant is
killed if one of the module's tests fails or does not end. Those that survive are printed; each is to be killed by a new
assertion, or explained in survivors.toml. A mutant runs in a fork of a process in which the large libraries are
imported already, and only against tests that execute its line, so that most take about a second.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import FrameType, FunctionType, ModuleType

import pytest

from tests.mutation.mutants import mutants

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
WARM = ("torch", "numpy", "pandas", "scipy.stats", "hypothesis", "pydantic", "PIL.Image", "cv2", "rich", "typer")
"""Libraries that are imported once, before the forks."""
OPTIONS = (
    *("-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow", "--no-header", "--tb=no"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)

Outcome = tuple[str, str, str]
"""The line, the changed line, and "killed", "survived" or "late"."""


class Changed(MetaPathFinder, Loader):
    """Has Python import other source in place of a module's own."""

    def __init__(self, module: str, source: str, path: Path) -> None:
        self.module, self.source, self.path = module, source, path

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return this loader for the one module."""
        return spec_from_file_location(fullname, self.path, loader=self) if fullname == self.module else None

    def exec_module(self, module: ModuleType) -> None:
        """Run the other source."""
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)  # noqa: S102 - the project's own source


def functions_of(value: object) -> dict[str, FunctionType]:
    """Return the functions in a function, method, property, cached function or class, by the way to them."""
    if isinstance(value, FunctionType):
        # What dataclasses writes has no file.
        return {} if value.__code__.co_filename == "<string>" else {"": value}
    found: dict[str, FunctionType] = {}
    if isinstance(value, type):
        parts: dict[str, object] = dict(vars(value))
    else:
        parts = {name: getattr(value, name, None) for name in ("__wrapped__", "__func__", "fget", "func")}
    for name, part in parts.items():
        if part is not None and name != "__class__":
            found |= {f"{name}.{way}": function for way, function in functions_of(part).items()}
    return found


def put(module: str, source: str) -> None:
    """Have the functions and constants of an imported module be those of other source; all else stays as it is."""
    old = vars(sys.modules[module])
    new: dict[str, object] = {"__name__": module, "__file__": old["__file__"], "__package__": old["__package__"]}
    exec(compile(source, str(old["__file__"]), "exec"), new)  # noqa: S102 - the project's own source
    for name, value in new.items():
        before = old.get(name)
        if getattr(before, "__module__", module) != module:
            continue
        if isinstance(before, int | float | str | tuple | frozenset) and before != value:
            for other in list(sys.modules.values()):
                if getattr(other, "__name__", "").startswith("fssbench") and vars(other).get(name) is before:
                    setattr(other, name, value)
            continue
        theirs = functions_of(value)
        for way, function in functions_of(before).items():
            if way in theirs and function.__module__ == module:
                function.__code__ = theirs[way].__code__
                function.__defaults__, function.__kwdefaults__ = theirs[way].__defaults__, theirs[way].__kwdefaults__


class Recorder:
    """Notes, as a plugin of pytest, the lines of a file that each test executes, and how long each takes."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.lines: dict[str, set[int]] = {}
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []
        self.now: set[int] = set()

    def trace(self, frame: FrameType, event: str, value: object) -> Callable[..., object] | None:
        """Note the lines of the one file."""
        if frame.f_code.co_filename != self.path:
            return None
        self.now.add(frame.f_lineno)
        return self.trace

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterable[None]:
        """Follow one test, with its fixtures."""
        self.now = set()
        start = time.process_time()
        sys.settrace(self.trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self.lines[item.nodeid] = self.now
            self.seconds[item.nodeid] = time.process_time() - start

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note failures."""
        if report.failed:
            self.failed.append(report.nodeid)


def forked(work: Callable[[], object], seconds: float) -> object:
    """Return what a function returns in a fork, as JSON; None if it takes longer, in processor time, or dies."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.alarm(int(30 * seconds))
        try:
            with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
                result = json.dumps(work())
            with os.fdopen(writing, "w") as file:
                file.write(result)
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else None


def baseline(path: Path, tests: Sequence[str]) -> object:
    """Return the tests that fail as it is, and of each test the lines of a file that it executes and its time."""
    recorder = Recorder(path)
    pytest.main([*OPTIONS, *tests], plugins=[recorder])
    lines = {name: sorted(found) for name, found in recorder.lines.items()}
    return {"failed": recorder.failed, "lines": lines, "seconds": recorder.seconds}


def verdict(module: str, source: str, tests: Sequence[str], *, anew: bool) -> int:
    """Return how pytest ends with other source in place of a module's.

    Args:
        anew: Whether all that may have copied something from the module is imported once more, which takes longer.
    """
    if anew:
        for name in [name for name in sys.modules if name.partition(".")[0] in ("fssbench", "tests")]:
            del sys.modules[name]
        sys.meta_path.insert(0, Changed(module, source, REPOSITORY / f"{module.replace('.', '/')}.py"))
    else:
        put(module, source)
    return int(pytest.main([*OPTIONS, *tests]))


def inside_functions(source: str) -> set[int]:
    """Return the lines of a module that belong to functions, with their headers and without decorators."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            found |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found


def tried(module: str, tests: Sequence[str]) -> list[Outcome]:
    """Return the outcome of each mutant of a module.

    Raises:
        SystemExit: If a test fails without a change.
    """
    name = f"fssbench.{module}"
    path = REPOSITORY / f"{name.replace('.', '/')}.py"
    source = path.read_text(encoding="utf-8")
    # All that the tests import is imported before the forks.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        pytest.main([*OPTIONS, "--collect-only", *tests])
    importlib.import_module(name)
    known = forked(lambda: baseline(path, tests), 600)
    assert isinstance(known, dict)
    if known["failed"] or not known["lines"]:
        raise SystemExit(f"{module}: without a change {known['failed'] or 'no test runs'}")
    for anew in (False, True):
        if forked(lambda anew=anew: verdict(name, source, tests, anew=anew), 600) != 0:
            raise SystemExit(f"{module}: its tests fail if it is put in place of itself{', anew' if anew else ''}")
    lines: Mapping[str, Sequence[int]] = known["lines"]
    seconds: Mapping[str, float] = known["seconds"]
    ordered = sorted(lines, key=lambda test: seconds[test])
    inside = {line for found in lines.values() for line in found}
    quick = inside_functions(source)
    found: list[Outcome] = []
    for mutant in mutants(source):
        # A line that runs when the module is imported concerns every test; a part of a statement has its first line.
        at = next((line for line in range(mutant.line, max(0, mutant.line - 6), -1) if line in inside), None)
        chosen = [test for test in ordered if at in lines[test]] or ordered
        most = 20 + 10 * sum(seconds[test] for test in chosen)
        anew = mutant.line not in quick
        code = forked(lambda m=mutant, chosen=chosen, anew=anew: verdict(name, m.source, chosen, anew=anew), most)
        outcome = "late" if code is None else "survived" if code == 0 else "killed"
        found.append((mutant.before, mutant.after, outcome))
        if outcome == "survived":
            sys.stdout.write(f"{module}:{mutant.line}\n  - {mutant.before}\n  + {mutant.after}\n")
            sys.stdout.flush()
    return found


def explained() -> dict[str, set[tuple[str, str]]]:
    """Return the mutants of each module that survivors.toml explains."""
    content = tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8"))
    found: dict[str, set[tuple[str, str]]] = {}
    for one in content.get("survivor", []):
        found.setdefault(one["module"], set()).add((one["line"], one["mutant"]))
    return found


def main() -> int:
    """Try all modules; return 1 if a mutant survives without an explanation, or an explained one does not survive."""
    modules = tomllib.loads((HERE / "modules.toml").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modules", choices=[*modules, []], nargs="*", default=[], help="these, as metrics.counts")
    args = parser.parse_args()
    os.chdir(REPOSITORY)
    chosen = args.modules or list(modules)
    if len(chosen) > 1:
        # Each in a process of its own, which imports the module's tests.
        command = [sys.executable, "-m", "tests.mutation"]
        return max(subprocess.run([*command, module], check=False).returncode for module in chosen)
    for library in WARM:
        importlib.import_module(library)
    from hypothesis import settings

    settings.register_profile("mutation", deadline=None, derandomize=True, database=None)
    settings.load_profile("mutation")
    known, wrong = explained(), 0
    for module in chosen:
        outcomes = tried(module, modules[module])
        survived = {(before, after) for before, after, outcome in outcomes if outcome == "survived"}
        counts = Counter(outcome for _, _, outcome in outcomes)
        new, gone = survived - known.get(module, set()), known.get(module, set()) - survived
        killed = counts["killed"] + counts["late"]
        why = f"{len(survived) - len(new)} explained, {len(new)} not"
        sys.stdout.write(f"{module}: {len(outcomes)} mutants, {killed} killed, {why}\n")
        for before, after in sorted(gone):
            sys.stdout.write(f"  explained, but killed now:\n  - {before}\n  + {after}\n")
        sys.stdout.flush()
        wrong += len(new) + len(gone)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
