"""Change one line after the other of the modules that decide numbers, and see whether a test fails.

`make mutation` runs it, for all modules of modules.toml or for MODULES="metrics.counts metrics.runs". A mutant is
killed if one of the module's tests fails or does not end. Those that survive are printed; each is to be killed by a new
assertion, or explained in survivors.toml. A mutant runs in a fork of a process in which the large libraries are
imported already, and only against tests that execute its line, so that most take about a second. RECORD=1 keeps how
many there were in figures.csv.
"""

from __future__ import annotations

import argparse
import ast
import csv
import importlib
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import NamedTuple

import pytest

from tests.mutation.mutants import Mutant, mutants

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
WARM = ("torch", "numpy", "pandas", "scipy.stats", "hypothesis", "pydantic", "PIL.Image", "cv2", "rich", "typer")
"""Libraries that are imported once, before the forks."""
KILLED, SURVIVED = 10, 11
"""Exit codes of forks."""
STDOUT = os.dup(1)
"""Where survivors are printed while pytest captures what tests print."""
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

    def pytest_configure(self) -> None:
        """Come before pytest's own finder, which rewrites assertions: called by pytest, as this is a plugin."""
        sys.modules.pop(self.module, None)
        sys.meta_path.insert(0, self)

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


def forget(module: str) -> None:
    """Empty the caches of a module's functions: what they hold was computed before, perhaps without the change."""
    for value in vars(sys.modules[module]).values():
        clear = getattr(value, "cache_clear", None)
        if callable(clear):
            clear()


def anew(module: str, source: str, tests: Sequence[str]) -> bool:
    """Return whether a test fails if all is imported once more, with other source for one module; it takes seconds."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("fssbench", "tests")]:
        del sys.modules[name]
    changed = Changed(module, source, REPOSITORY / f"{module.replace('.', '/')}.py")
    return pytest.main([*OPTIONS, *tests], plugins=[changed]) != 0


def forked(work: Callable[[], bool], seconds: float) -> str:
    """Return "killed" or "survived", as a fork says that a test failed or not; "late" if it takes longer or dies.

    Args:
        work: What the fork does.
        seconds: How much time of the processor it has.
    """
    child = os.fork()
    if not child:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.alarm(int(30 * seconds))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        try:
            os._exit(KILLED if work() else SURVIVED)
        except BaseException:
            # The changed source can't even be imported.
            os._exit(KILLED)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {KILLED: "killed", SURVIVED: "survived"}.get(code, "late")


def inside_functions(source: str) -> set[int]:
    """Return the lines of a module that belong to functions, with their headers and without decorators."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            found |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found


class Trying:
    """Tries the mutants of a module, as a plugin of pytest that has collected the module's tests.

    Attributes:
        outcomes: Of each mutant.
        wrong: Why they can't be tried; empty if they can.
    """

    def __init__(self, module: str, tests: Sequence[str]) -> None:
        self.name, self.tests = f"fssbench.{module}", tests
        self.path = REPOSITORY / f"{self.name.replace('.', '/')}.py"
        self.source = self.path.read_text(encoding="utf-8")
        self.failed, self.wrong = False, "its tests can't be collected"
        self.now: set[int] = set()
        self.outcomes: list[Outcome] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note failures."""
        self.failed = self.failed or report.failed

    def trace(self, frame: FrameType, event: str, value: object) -> Callable[..., object] | None:
        """Note the lines of the module that are executed."""
        if frame.f_code.co_filename != str(self.path):
            return None
        self.now.add(frame.f_lineno)
        return self.trace

    def fails(self, items: Sequence[pytest.Item]) -> bool:
        """Return whether one of some tests fails; those after it are not run."""
        for item in items:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if self.failed:
                return True
        return False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests as they are, then on every mutant."""
        importlib.import_module(self.name)
        lines: dict[str, set[int]] = {}
        seconds: dict[str, float] = {}
        for item in session.items:
            forget(self.name)
            self.now, start = set(), time.process_time()
            sys.settrace(self.trace)
            self.failed = self.fails([item])
            sys.settrace(None)
            lines[item.nodeid], seconds[item.nodeid] = self.now, time.process_time() - start
            if self.failed:
                self.wrong = f"{item.nodeid} fails without a change"
                return True
        self.wrong = "not every mutant was tried"
        ordered = sorted(session.items, key=lambda item: seconds[item.nodeid])
        inside, quick = set().union(*lines.values()), inside_functions(self.source)
        for mutant in mutants(self.source):
            # A part of a statement has its first line; what runs when the module is imported concerns every test.
            near = range(mutant.line, max(0, mutant.line - 6), -1) if mutant.line in quick else ()
            at = next((line for line in near if line in inside), None)
            chosen = [item for item in ordered if at in lines[item.nodeid]] or ordered
            most = 20 + 10 * sum(seconds[item.nodeid] for item in chosen)
            outcome = forked(lambda m=mutant, i=chosen: self.dies(m, i, quick=m.line in quick), most)
            self.outcomes.append((mutant.before, mutant.after, outcome))
            if outcome == "survived":
                text = f"{self.name}:{mutant.line}\n  - {mutant.before}\n  + {mutant.after}\n"
                os.write(STDOUT, text.encode())
        self.wrong = "" if self.outcomes else "it has no mutants"
        return True

    def dies(self, mutant: Mutant, items: Sequence[pytest.Item], *, quick: bool) -> bool:
        """Return whether a test fails on a mutant."""
        if quick:
            put(self.name, mutant.source)
            forget(self.name)
            return self.fails(items)
        return anew(self.name, mutant.source, [item.nodeid for item in items])


def tried(module: str, tests: Sequence[str]) -> list[Outcome]:
    """Return the outcome of each mutant of a module.

    Raises:
        SystemExit: If a test fails without a change, or not every mutant could be tried.
    """
    trying = Trying(module, tests)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        pytest.main([*OPTIONS, *tests], plugins=[trying])
    if trying.wrong:
        raise SystemExit(f"{module}: {trying.wrong}")
    return trying.outcomes


def explained() -> dict[str, set[tuple[str, str]]]:
    """Return the mutants of each module that survivors.toml explains."""
    content = tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8"))
    found: dict[str, set[tuple[str, str]]] = {}
    for one in content.get("survivor", []):
        found.setdefault(one["module"], set()).add((one["line"], one["mutant"]))
    return found


class Figures(NamedTuple):
    """What became of the mutants of a module."""

    mutants: int
    killed: int
    explained: int


def recorded() -> dict[str, Figures]:
    """Return the figures of each module when it was tried last."""
    with (HERE / "figures.csv").open(encoding="utf-8", newline="") as file:
        return {row["module"]: Figures(*(int(row[name]) for name in Figures._fields)) for row in csv.DictReader(file)}


def record(module: str, figures: Figures, order: Iterable[str]) -> None:
    """Keep the figures of a module, in the order of modules.toml."""
    known = recorded() | {module: figures}
    with (HERE / "figures.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("module", *Figures._fields))
        writer.writerows((name, *known[name]) for name in order if name in known)


def main() -> int:
    """Try all modules; return 1 if a mutant survives without an explanation, or an explained one does not survive."""
    modules = tomllib.loads((HERE / "modules.toml").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modules", choices=[*modules, []], nargs="*", default=[], help="these, as metrics.counts")
    parser.add_argument("--record", action="store_true", help="keep the figures in figures.csv")
    args = parser.parse_args()
    os.chdir(REPOSITORY)
    chosen = args.modules or list(modules)
    if len(chosen) > 1:
        # Each in a process of its own, which imports the module's tests.
        command = [sys.executable, "-m", "tests.mutation", *(["--record"] if args.record else [])]
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
        left = sum(outcome == "survived" and (before, after) in new for before, after, outcome in outcomes)
        figures = Figures(len(outcomes), counts["killed"] + counts["late"], counts["survived"] - left)
        sys.stdout.write(
            f"{module}: {figures.mutants} mutants, {figures.killed} killed, {figures.explained} explained, {left} not\n"
        )
        if args.record:
            record(module, figures, modules)
        for before, after in sorted(gone):
            sys.stdout.write(f"  explained, but killed now:\n  - {before}\n  + {after}\n")
        sys.stdout.flush()
        wrong += len(new) + len(gone)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
