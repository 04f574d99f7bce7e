"""A run in parts: shards and their merge, processes of torchrun, jobs of a cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fssbench.results import load_run

REPOSITORY = Path(__file__).resolve().parents[2]
COPY = ["eval", "--method", "copy-mask", "--dataset", "shapes20i", "--fold", "0", "--episodes", "12", "--quiet"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shards")


@pytest.fixture(autouse=True)
def _processes(elsewhere: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def whole(fssbench, place: Path) -> Path:
    if not (place / "whole").exists():
        assert fssbench(*COPY, "--out", str(place / "whole"))[0] == 0
    return place / "whole"


def answers(folder: Path) -> list[dict[str, object]]:
    """The rows in the order of the file, without the one thing that may differ."""
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def torchrun(processes: int, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.Popen(
        [*command, "-m", "fssbench", *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_shards_put_together_are_the_run_in_one_go(fssbench, whole: Path) -> None:
    for part in (2, 1, 3):
        assert fssbench(*COPY, "--out", "parts", "--shard", f"{part}/3")[0] == 0
        found = load_run(Path("parts") / f"shard-{part}-of-3")
        assert (len(found.frame), found.missing, found.run.shard) == (4, 0, (part, 3))
    code, out, _ = fssbench("merge", "parts")
    assert code == 0
    assert out.splitlines()[-1] == "rows: parts"
    assert answers(Path("parts")) == answers(whole)
    assert (Path("parts") / "summary.json").read_bytes() == (whole / "summary.json").read_bytes()
    assert load_run("parts").run.shard is None
    code, _, err = fssbench("merge", "parts")
    assert code == 2
    assert "already has a run" in err


def test_a_shard_says_that_it_is_one_wherever_it_is_read(fssbench, whole: Path) -> None:
    for part in (1, 2):
        _, out, _ = fssbench(*COPY, "--out", "parts", "--shard", f"{part}/2")
        assert f"shard {part}/2: only a part of each list" in out
    shards = ["parts/shard-1-of-2", "parts/shard-2-of-2"]
    for runs in (shards, [str(whole), shards[0]]):
        code, _, err = fssbench("compare", *runs)
        assert (code, "Traceback" in err, "fssbench merge parts" in err) == (2, False, True)
    code, _, err = fssbench("check", shards[0])
    assert code == 2
    assert "shard 1/2 of a run, only a part of the list" in err
    asked = ("table", "--dataset", "shapes20i", "--source", "measured", "--runs", "parts", "--format", "csv")
    assert fssbench(*asked)[1].count("only a part of each list, so it is not ranked") == 2
    assert fssbench("merge", "parts")[0] == 0
    lines = fssbench(*asked)[1].splitlines()
    assert len(lines) == 2, "the heads and the whole run"
    assert "shard" not in lines[1]


def test_a_missing_shard_is_told_and_added_later(fssbench, whole: Path) -> None:
    fssbench(*COPY, "--out", "parts", "--shard", "1/2")
    code, _, err = fssbench("merge", "parts")
    assert code == 1
    assert err.startswith("6 episodes are missing in these 1 runs\n")
    fssbench(*COPY, "--out", "thirds", "--shard", "1/3")
    _, _, err = fssbench("merge", "parts/shard-1-of-2", "thirds", "--out", "mixed")
    assert "which are not cut into shards in one way" in err
    assert "without a shard, --out mixed --resume" in err
    fssbench(*COPY, "--out", "parts", "--shard", "2/2")
    assert fssbench("merge", "parts", "--resume")[0] == 0
    assert answers(Path("parts")) == answers(whole)


def test_what_shards_left_is_answered_by_the_whole_run(fssbench, whole: Path) -> None:
    fssbench(*COPY, "--out", "parts", "--shard", "2/2")
    fssbench("merge", "parts")
    assert fssbench(*COPY, "--out", "parts", "--resume")[0] == 0
    assert answers(Path("parts")) == answers(whole)


def test_a_job_array_needs_no_argument(fssbench, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MIN", 4), ("MAX", 5), ("STEP", 1), ("COUNT", 2)):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
    for index in (4, 5):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(index))
        code, _, err = fssbench(*COPY, "--out", "array")
        assert (code, err.startswith(f"shard {index - 3}/2 by SLURM_ARRAY_TASK_ID; --shard none")) == (0, True)
    # The second job alone, submitted again, is the only one of its array; and it has the first index.
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "1")
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "5")
    code, _, err = fssbench(*COPY, "--out", "array", "--resume")
    assert (code, "makes this shard 1/1, but array has shards of 2" in err) == (2, True)
    monkeypatch.setenv("FSSBENCH_SHARD", "2")
    assert "FSSBENCH_SHARDS is not" in fssbench(*COPY, "--out", "array", "--resume")[2]
    monkeypatch.setenv("FSSBENCH_SHARDS", "2")
    assert fssbench(*COPY, "--out", "array", "--resume")[0] == 0
    assert fssbench("merge", "array")[0] == 0
    assert answers(Path("array")) == answers(whole)
    assert fssbench(*COPY, "--out", "straight", "--shard", "none")[0] == 0
    assert answers(Path("straight")) == answers(whole)


def test_parts_that_do_not_belong_together_are_refused(fssbench) -> None:
    fssbench(*COPY, "--out", "parts", "--shard", "1/2")
    fssbench(*COPY, "--seed", "7", "--out", "other", "--shard", "2/2")
    code, _, err = fssbench("merge", "parts", "other", "--out", "both")
    assert code == 2
    assert "other/shard-2-of-2 is no part of the run in parts/shard-1-of-2" in err
    assert not Path("both").exists()


def test_two_answers_to_one_episode_are_refused(fssbench) -> None:
    for part in (1, 2):
        fssbench(*COPY, "--out", "parts", "--shard", f"{part}/2")
    rows = Path("parts/shard-2-of-2/rows.jsonl")
    first = json.loads(Path("parts/shard-1-of-2/rows.jsonl").read_text().splitlines()[0])
    first["present"] = [not first["present"][0]]
    rows.write_text(rows.read_text() + json.dumps(first) + "\n")
    code, _, err = fssbench("merge", "parts")
    assert code == 2
    assert "has different rows in" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["merge", "nowhere"], "there is no run in nowhere"),
        ([*COPY, "--shard", "3/2"], "there is no shard 3 of 2"),
        ([*COPY, "--shard", "half"], "a shard is written NUMBER/COUNT"),
        ([*COPY, "--shard", "1/2", "--save-predictions", "p"], "one run in one process"),
        (["eval", "--method", "copy-mask,copy-mask", "--dataset", "shapes20i"], "each once"),
        (["eval", "--method", "copy-mask", "--dataset", "shapes20i", "--shots", "1,x"], "--shots is a number"),
        (["eval", "--method", "copy-mask", "--dataset", "shapes20i", "--shots", "+-5"], "--shots is a number"),
        (["launch", "--shards", "2", "--", "table"], "only an evaluation can be launched"),
        (["launch", "--shards", "2", "--", *COPY], "the shards need a common folder"),
        (["launch", "--shards", "0", "--", *COPY, "--out", "o"], "--shards is at least 1"),
        (["launch", "--shards", "2", "--", *COPY, "--out", "o", "--overwrite"], "would delete its rows"),
        ([*COPY, "--feature-cache", "much"], "not an amount of memory"),
        ([*COPY, "--precision", "tf32", "--device", "cpu"], "graphics cards"),
    ],
)
def test_mistakes_end_in_a_sentence(fssbench, arguments: list[str], said: str) -> None:
    code, _, err = fssbench(*arguments)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_several_processes_share_each_of_all_folds(fssbench) -> None:
    asked = ["all" if part == "0" else part for part in COPY]
    run = torchrun(3, *asked, "--out", "several")
    out, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    assert out.count("rows: several") == 1
    assert fssbench(*asked, "--out", "straight")[0] == 0
    assert {row["fold"] for row in answers(Path("several"))} == {0, 1, 2, 3}
    assert answers(Path("several")) == answers(Path("straight"))
    assert Path("several/summary.json").read_bytes() == Path("straight/summary.json").read_bytes()
    assert not list(Path("several").glob("rows-part*"))


@pytest.mark.parametrize("ended", ["worker", pytest.param("launcher", marks=pytest.mark.slow)])
def test_a_dead_process_loses_only_what_it_had_not_answered(fssbench, place: Path, ended: str) -> None:
    asked = [part if part != "12" else "240" for part in COPY]
    run = torchrun(2, *asked, "--out", "several")
    parts = [Path("several/rows.jsonl"), Path("several/rows-part1.jsonl")]
    while not all(path.exists() and path.read_bytes().count(b"\n") > 2 for path in parts):
        assert run.poll() is None, run.communicate()
        time.sleep(0.02)
    workers = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True).stdout.split()
    if ended == "worker":
        os.kill(int(workers[-1]), signal.SIGKILL)
    else:
        run.terminate()
    _, err = run.communicate(timeout=120)
    assert run.returncode != 0
    assert ended == "worker" or "try: torchrun --nproc-per-node 2 -m fssbench eval" in err
    stored = load_run("several")
    assert 6 <= len(stored.frame) < 240
    kept = {(row.fold, row.episode): row.seconds for row in stored.frame.itertuples()}
    assert fssbench(*asked, "--out", "several", "--resume")[0] == 0
    finished = load_run("several")
    assert finished.missing == 0
    times = {(row.fold, row.episode): row.seconds for row in finished.frame.itertuples()}
    assert all(times[key] == seconds for key, seconds in kept.items()), "what was answered is not answered again"
    assert not list(Path("several").glob("rows-part*"))
    straight = place / "straight"
    if not straight.exists():
        assert fssbench(*asked, "--out", str(straight))[0] == 0
    assert answers(Path("several")) == answers(straight)


def test_launched_jobs_are_the_run(fssbench, whole: Path) -> None:
    pytest.importorskip("submitit")
    command = [*COPY, "--out", str(Path("jobs").resolve())]
    code, out, err = fssbench("launch", "--shards", "2", "--", *command)
    assert code == 0
    assert [line.rpartition("--shard ")[2] for line in out.splitlines()] == ["1/2", "2/2"]
    assert "fssbench merge" in err
    # In a process of its own: submitit leaves the jobs it has started to themselves.
    launch = [sys.executable, "-m", "fssbench", "launch", "--local", "--shards", "2", "--logs", "logs", "--", *command]
    launched = subprocess.run(launch, capture_output=True, text=True, check=True)
    assert launched.stdout.startswith("2 jobs: ")
    # A job that has ended, well or not, leaves its result.
    while len(list(Path("logs").glob("*_result.pkl"))) < 2:
        time.sleep(0.2)
    shards = [Path("jobs") / f"shard-{part}-of-2" / "summary.json" for part in (1, 2)]
    assert all(path.exists() for path in shards), [path.read_text() for path in Path("logs").glob("*.err")]
    assert fssbench("merge", "jobs")[0] == 0
    assert answers(Path("jobs")) == answers(whole)


def test_slurm_that_is_not_there(fssbench) -> None:
    pytest.importorskip("submitit")
    code, _, err = fssbench("launch", "--slurm", "--shards", "2", "--", *COPY, "--out", "jobs")
    assert code == 2
    assert "there is no slurm here" in err
    assert "Traceback" not in err


def test_a_profile_says_where_the_time_went(fssbench) -> None:
    code, out, _ = fssbench(
        "eval", "--method", "hsnet", "--dataset", "shapes20i", "--fold", "0", "--episodes", "3", "--profile", "--quiet"
    )
    assert code == 0
    for stage in ("decode", "encode", "condition", "predict", "score"):
        assert any(line.startswith(stage) for line in out.splitlines())
    assert "episodes/s on cpu" in out
    record = json.loads(next(Path("runs").glob("*/profile.json")).read_text())
    assert record["episodes"] == 3
    assert record["images"] <= 6


def test_a_bench_compares_methods_and_precisions(fssbench) -> None:
    asked = ["--method", "prototype", "--precision", "float32,bfloat16", "--episodes", "2", "--out", "b.csv"]
    code, out, err = fssbench("bench", *asked)
    assert code == 0, err
    lines = Path("b.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["method", "prototype", "prototype"]
    assert "(+0.00)" in out or "(-" in out or "(+" in out
    code, _, err = fssbench("bench", "--method", "nosuch")
    assert code == 2
    assert "unknown method 'nosuch'" in err
    assert "Traceback" not in err
