"""`fssbench eval --replay`: the same rows wherever and however often, and what differs where they are not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file

from fssbench import build
from fssbench.planning.replay import recorded_file
from tests.datasets.trees import label_map, own_tree, save_photo

pytestmark = pytest.mark.usefixtures("elsewhere")
REPOSITORY = Path(__file__).resolve().parents[2]
OWN = ("eval", "--method", "all-foreground", "--dataset", "folder", "--root", "own", "--fold", "0", "--quiet")


@pytest.fixture
def run(fssbench, tmp_path: Path) -> Path:
    labels = {f"p{number}": label_map((1, 3, 3, 20 + number, 20), size=(40, 60)) for number in range(6)}
    own_tree(tmp_path / "own", labels, '[classes]\n1 = "leaf"\n')
    assert fssbench(*OWN, "--episodes", "8", "--out", "run")[0] == 0
    return tmp_path / "run"


def changed(run: Path, number: int, **values: object) -> None:
    """Change a row of a run."""
    lines = (run / "rows.jsonl").read_text().splitlines()
    lines[number] = json.dumps(json.loads(lines[number]) | values)
    (run / "rows.jsonl").write_text("\n".join(lines) + "\n")


def test_the_same_rows_in_a_process_that_differs_in_all_that_must_not_matter(run: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    # The same files in another order of the folder, by links: it is the recorded folder that is read.
    for name in ("images", "masks"):
        kept = sorted((tmp_path / "own" / name).iterdir(), reverse=True)
        for path in kept:
            moved = path.rename(away / path.name)
            moved.rename(path)
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONHASHSEED": "4711",
        "LC_ALL": "tr_TR.UTF-8",
        "TZ": "Asia/Tokyo",
    }
    command = [sys.executable, "-m", "fssbench", "eval", "--replay", str(run / "run.json"), "--quiet"]
    more = ["--batch-size", "3", "--workers", "2", "--feature-cache", "0", "--out", str(away / "run")]
    done = subprocess.run([*command, *more], cwd=away, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        *(f"{topic:<9} the same" for topic in ("versions", "data", "weights", "protocol")),
        "rows      8 equal",
        f"replayed: {away / 'run'}",
    ]


def test_a_run_by_one_of_several_own_protocols(fssbench, run: Path, tmp_path: Path) -> None:
    assert fssbench("new", "protocol", "mine")[0] == 0
    first = (tmp_path / "mine.toml").read_text()
    (tmp_path / "mine.toml").write_text(first + first.replace("[mine", "[second"))
    lists = ("--episodes", "run/episodes-fold{fold}.json")
    assert fssbench(*OWN, *lists, "--protocol", "./mine.toml:second", "--out", "two")[0] == 0
    code, out, err = fssbench("eval", "--replay", "two", "--quiet")
    assert (code, err) == (0, "")
    assert "protocol  the same" in out


def test_what_differs_is_said(fssbench, run: Path) -> None:
    row = json.loads((run / "rows.jsonl").read_text().splitlines()[5])
    both, either = row["intersection"], row["union"]
    changed(run, 5, intersection=[both[0], both[1] - 7], union=[either[0], either[1] - 3])
    changed(run, 6, present=[False])
    record = json.loads((run / "run.json").read_text())
    record["starts"][0]["environment"]["packages"]["torch"] = "1.0"
    record["folds"][0]["data_fingerprint"] = "0" * 64
    (run / "run.json").write_text(json.dumps(record))
    code, out, _ = fssbench("eval", "--replay", "run", "--quiet")
    assert code == 1
    lines = out.splitlines()
    assert lines[0].startswith("versions  packages.torch: 1.0, now ")
    assert lines[1].startswith(f"data      folds[0].data_fingerprint: {'0' * 64}, now ")
    assert lines[-2] == "rows      2 of 8 differ, the first is fold 0, episode 5, by 7 pixels; at most 7 pixels"
    code, _, err = fssbench("eval", "--replay", "run", "--quiet")
    assert (code, "run-replay already has a run" in err) == (2, True)


def test_photos_that_are_other_files_are_named(fssbench, run: Path) -> None:
    for photo in Path("own/images").iterdir():
        save_photo(photo, (40, 60), shade=7)
    code, out, _ = fssbench("eval", "--replay", "run", "--quiet")
    assert code == 0, "all-foreground looks at no photo"
    assert "photos are other files, the first p" in out


def test_a_run_that_was_broken_off(fssbench, run: Path) -> None:
    rows = (run / "rows.jsonl").read_text().splitlines(keepends=True)
    (run / "rows.jsonl").write_text("".join(rows[:5]))
    code, out, _ = fssbench("eval", "--replay", "run", "--quiet")
    assert code == 0
    assert "rows      5 equal; 3 were not evaluated before" in out.splitlines()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--method", "hsnet"), "--method would change that"),
        (("--limit", "3"), "--limit would change that"),
        (("--labels", "png"), "--labels would change that"),
    ],
)
def test_what_the_record_decides_is_not_typed(more: tuple[str, ...], said: str, fssbench, run: Path) -> None:
    code, out, err = fssbench("eval", "--replay", "run", *more)
    assert (code, out) == (2, "")
    assert said in err


def test_what_can_not_be_replayed(fssbench, run: Path) -> None:
    code, _, err = fssbench("eval", "--replay", "nowhere")
    assert (code, "there is no run in nowhere" in err) == (2, True)
    record = json.loads((run / "run.json").read_text())
    record["folds"][0]["weights"]["kind"] = "memory"
    (run / "run.json").write_text(json.dumps(record))
    code, _, err = fssbench("eval", "--replay", "run")
    assert (code, "its weights were those of a Python program" in err) == (2, True)
    assert not Path("run-replay").exists()


def test_relative_files_are_found_from_another_folder(fssbench, tmp_path: Path, monkeypatch) -> None:
    network = build("panet", backbone="small")
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, "w-fold1.safetensors")
    assert fssbench("new", "method", "mynet")[0] == 0
    words = ("--dataset", "shapes20i", "--fold", "1", "--episodes", "2", "--quiet")
    weights = ("--backbone", "small", "--checkpoint", "w-fold{fold}.safetensors")
    assert fssbench("eval", "--method", "panet", *weights, *words, "--out", "runs/of-file")[0] == 0
    assert fssbench("eval", "--method", "./mynet.py:Mynet", "--random-weights", *words, "--out", "runs/own")[0] == 0
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    for name in ("of-file", "own"):
        code, out, err = fssbench("eval", "--replay", f"../runs/{name}", "--quiet")
        assert (code, err) == (0, "")
        assert "weights   the same" in out
        assert "rows      2 equal" in out


def test_a_recorded_folder_of_a_backbone_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "away").mkdir()
    folder = tmp_path / "runs" / "x"
    assert recorded_file("./tiny", folder) == "./tiny"
    monkeypatch.chdir(tmp_path / "away")
    assert Path(recorded_file("./tiny", folder)) == tmp_path / "tiny"
    assert recorded_file("./gone", folder) == "./gone"
    assert recorded_file(str(tmp_path / "gone"), folder) == str(tmp_path / "gone")


def test_a_shard_and_a_merged_run(fssbench, run: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        assert fssbench(*OWN, "--episodes", "8", "--out", "parts", "--shard", f"{number}/2")[0] == 0
    code, out, err = fssbench("eval", "--replay", "parts/shard-1-of-2", "--quiet")
    assert (code, err) == (0, "")
    assert "rows      4 equal" in out
    assert (tmp_path / "parts-replay" / "shard-1-of-2" / "run.json").is_file()
    assert fssbench("merge", "parts")[0] == 0
    code, out, _ = fssbench("eval", "--replay", "parts", "--quiet", "--out", "again")
    assert (code, "rows      8 equal" in out) == (0, True), out


def test_a_run_of_an_earlier_version(fssbench, tmp_path: Path) -> None:
    stored = REPOSITORY / "tests" / "results" / "stored" / "schema1-copy-mask"
    shutil.copytree(stored, tmp_path / "old")
    code, out, _ = fssbench("eval", "--replay", "old", "--quiet")
    assert (code, "rows      6 equal" in out) == (0, True), out
    assert "versions  fssbench: 0.1.0, now " in out


def test_random_weights_have_their_seed_again(fssbench) -> None:
    words = ("--method", "panet", "--dataset", "shapes20i", "--fold", "1", "--random-weights", "--episodes", "2")
    assert fssbench("eval", *words, "--backbone", "small", "--quiet", "--seed", "3", "--out", "random")[0] == 0
    code, out, _ = fssbench("eval", "--replay", "random", "--quiet")
    assert (code, "rows      2 equal" in out) == (0, True), out
    shutil.rmtree("random-replay")


def test_masks_that_were_moved_are_named(fssbench, run: Path, tmp_path: Path) -> None:
    labels = {f"p{number}": label_map((1, 3, 3, 20 + number, 20), size=(40, 60)) for number in range(6)}
    labels["p4"] = labels["p4"][:, ::-1].copy()
    shutil.rmtree(tmp_path / "own")
    own_tree(tmp_path / "own", labels, '[classes]\n1 = "leaf"\n')
    _, out, _ = fssbench("eval", "--replay", "run", "--quiet")
    assert "1 masks are others, the first that of p4" in out
    rows = [json.loads(line) for line in (run / "rows.jsonl").read_text().splitlines()]
    (run / "rows.jsonl").write_text("".join(f"{json.dumps({**row, 'masks': None})}\n" for row in rows))
    _, out, _ = fssbench("eval", "--replay", "run", "--quiet", "--overwrite")
    assert "the masks of 8 of 8 rows can't be compared" in out
