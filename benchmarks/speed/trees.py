"""Time of two checkouts of this project on the same episodes, in one run: is a change slower?

    python benchmarks/speed/trees.py OLD NEW --root DIR/VOC2012 --method hsnet --shots 1

OLD and NEW are checkouts, each with an environment in .venv. Both evaluate the first episodes of PASCAL-5i fold 0,
drawn by HSNet's protocol, with random weights of the same seed, each time in a new process: old new new old, and
so on, so that a machine that grows slower or faster meanwhile is no advantage. The ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from measured import keep


def seconds(tree: Path, options: list[str]) -> tuple[float, str]:
    """Return the seconds per episode of an evaluation by a checkout, and its rows without their seconds."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [str(tree / ".venv/bin/python"), "-m", "fssbench", "eval", *options, "--out", str(out), "--quiet"]
        subprocess.run([*command, "--profile"], check=True, cwd=tree, stderr=subprocess.DEVNULL)
        profile = json.loads((out / "profile.json").read_text(encoding="utf-8"))
        rows = [json.loads(line) for line in (out / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    counts = [{key: value for key, value in row.items() if "second" not in key} for row in rows]
    spent = sum(line["seconds"] for line in profile["lines"])
    return spent / profile["episodes"], json.dumps(counts, sort_keys=True)


def main() -> None:
    """Measure, print, and add a row to the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--method", required=True)
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--episodes", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=2, help="Each has two evaluations by either checkout.")
    parser.add_argument("--out", type=Path, help="CSV to which the row is added.")
    chosen = parser.parse_args()
    options = ["--method", chosen.method, "--shots", str(chosen.shots), "--backbone", "resnet50", "--random-weights"]
    options += ["--dataset", "pascal5i", "--root", str(chosen.root.resolve()), "--limit", str(chosen.episodes)]
    options += ["--skip-short-classes", "--fold", "0", "--protocol", "hsnet"]
    trees = {"old": chosen.old.resolve(), "new": chosen.new.resolve()}
    times: dict[str, list[float]] = {"old": [], "new": []}
    rows = set()
    for name in ("old", "new", "new", "old") * chosen.rounds:
        took, counts = seconds(trees[name], options)
        times[name].append(took)
        rows.add(counts)
        print(f"{name}: {took:.3f} s an episode", flush=True)
    old, new = median(times["old"]), median(times["new"])
    keep(
        {
            "method": chosen.method,
            "shots": chosen.shots,
            "episodes": chosen.episodes,
            "old_seconds": f"{old:.3f}",
            "new_seconds": f"{new:.3f}",
            "new_over_old": f"{new / old:.2f}",
            "old_spread": f"{min(times['old']):.3f}-{max(times['old']):.3f}",
            "new_spread": f"{min(times['new']):.3f}-{max(times['new']):.3f}",
            "rows_equal": "yes" if len(rows) == 1 else "no",
        },
        chosen.out,
    )


if __name__ == "__main__":
    main()
