"""Readers fuzzed by atheris, which keeps the files that reach new lines of fssbench and changes them further.

`make fuzz-guided MINUTES=60` runs it, after `pip install atheris` (no part of the tested versions: its wheels are for
few platforms). Findings go where those of `make fuzz` go; the files that reach something stay in --corpus.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fssbench"]):
    from tests.fuzz.changes import random_change
    from tests.fuzz.readers import READERS
    from tests.fuzz.test_fuzz import FINDINGS, attempt, seeds

SECONDS = 10
"""A reader that takes longer hangs."""
MEMORY = 8 << 30
"""Bytes of address space that a reader may fill, with all libraries."""
LONGEST = 1 << 14
"""Bytes of a file."""


def fuzz(name: str, corpus: Path, seconds: int) -> None:
    """Fuzz one reader, and end the process: libFuzzer does so itself.

    Each kind of failure is kept once, and the fuzzer goes on; only a hang ends it early.
    """
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        os.environ[variable] = str(folder / variable)
    warnings.simplefilter("ignore")
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in seeds(name):
        (corpus / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    findings = FINDINGS / name
    seen: set[str] = set()

    def check(content: bytes) -> None:
        try:
            attempt(name, content, folder / name)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} {Path(last.filename).name}:{last.lineno}"
            if kind not in seen:
                seen.add(kind)
                findings.mkdir(parents=True, exist_ok=True)
                path = findings / hashlib.sha256(content).hexdigest()[:12]
                path.write_bytes(content)
                sys.stdout.write(f"{name}: {type(error).__name__}: {str(error)[:150]!r}, in {path}\n")
                traceback.print_exc(limit=-4)

    def mutate(content: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)  # noqa: S311 - the fuzzer's own seed
        if chance.random() < 0.5:
            return atheris.Mutate(content, most)
        for _ in range(chance.randint(1, 3)):
            content = random_change(chance).apply(content)
        return content[:most]

    options = [f"-max_total_time={seconds}", f"-timeout={SECONDS}", "-rss_limit_mb=0", f"-max_len={LONGEST}"]
    options += [f"-artifact_prefix={findings}-", "-verbosity=0", "-print_final_stats=1", "-reduce_inputs=1"]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    atheris.Setup([sys.argv[0], *options, str(corpus)], check, custom_mutator=mutate)
    atheris.Fuzz()


def main() -> int:
    """Fuzz all readers, each in a process of its own; return 1 if something was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="how long, for all readers together")
    parser.add_argument("--only", choices=READERS, nargs="*", default=list(READERS), help="these readers alone")
    parser.add_argument("--corpus", type=Path, default=Path("build/fuzz"), help="where the files are kept")
    args = parser.parse_args()
    seconds = max(1, round(60 * args.minutes / len(args.only)))
    if len(args.only) == 1:
        fuzz(args.only[0], args.corpus / args.only[0], seconds)
    before = sorted(FINDINGS.glob("**/*"))
    tried = 0
    for name in args.only:
        command = [sys.executable, "-m", "tests.fuzz.guided", "--only", name, "--minutes", str(seconds / 60)]
        command += ["--corpus", str(args.corpus)]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        found = [line for line in done.stdout.splitlines() if line.startswith("stat::number_of_executed_units:")]
        files = int(found[0].rpartition(":")[2]) if found else 0
        tried += files
        kept = len(list((args.corpus / name).glob("*")))
        sys.stdout.write(f"{name}: {files} files tried, {kept} kept\n")
        if done.returncode or f"\n{name}: " in done.stdout:
            sys.stdout.write(done.stdout)
        sys.stdout.flush()
    new = [path for path in sorted(FINDINGS.glob("**/*")) if path.is_file() and path not in before]
    sys.stdout.write(f"{tried} files for {len(args.only)} readers, {len(new)} failures\n")
    return bool(new)


if __name__ == "__main__":
    sys.exit(main())
