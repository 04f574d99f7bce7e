"""A full disk, a limit of the system, torn files, lost data, signals, two commands at once: what is kept and said."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.results import load_run
from tests.datasets.trees import save_photo
from tests.reliability.processes import Order, Running, Server
from tests.reliability.works import OWN, counted, files_in

EVAL = (*OWN, "--episodes", "8", "--out", "run")


@pytest.fixture(scope="module")
def whole(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.reliability.works import own_data

    folder = tmp_path_factory.mktemp("whole")
    own_data(folder)
    ended = server.run(Order(folder, EVAL))
    assert ended.code == 0, ended.err
    return folder


def continued(server: Server, folder: Path, whole: Path) -> None:
    """Let a run go on, and compare it with an undisturbed one."""
    ended = server.run(Order(folder, (*EVAL, "--resume")))
    assert ended.code == 0, ended.err
    assert counted(folder / "run") == counted(whole / "run")
    assert files_in(folder / "run") == files_in(whole / "run")


@pytest.mark.parametrize("share", [0.3, 0.95])
def test_a_disk_that_is_full_from_some_moment(share: float, server: Server, own: Path, whole: Path) -> None:
    events = server.run(Order(own, EVAL)).events
    shutil.rmtree(own / "run")
    shutil.rmtree(own / "cache")
    ended = server.run(Order(own, EVAL, at=int(share * events), what="full"))
    assert ended.code == 2
    assert "No space left on device" in ended.err
    assert "Traceback" not in ended.err
    assert not [name for name in files_in(own / "run") if name.startswith(".")]
    continued(server, own, whole)


def test_files_that_may_not_grow(server: Server, own: Path, whole: Path) -> None:
    size = (whole / "run" / "rows.jsonl").stat().st_size
    most = max(path.stat().st_size for path in (whole / "run").iterdir() if path.name != "rows.jsonl")
    assert most < 8 * size
    ended = server.run(Order(own, (*OWN, "--episodes", "40", "--out", "run"), limits={"RLIMIT_FSIZE": max(most, size)}))
    assert ended.code == 2
    assert "File too large" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("most", [4, 6])
def test_no_file_can_be_opened_any_more(most: int, server: Server, own: Path, whole: Path) -> None:
    ended = server.run(Order(own, EVAL, limits={"RLIMIT_NOFILE": most}))
    assert ended.code in (0, 2), ended.err
    assert "Traceback" not in ended.err
    if ended.code:
        assert "Too many open files" in ended.err
    continued(server, own, whole)


def test_a_cache_that_can_not_be_written_is_done_without(server: Server, own: Path, whole: Path) -> None:
    (own / "nowhere").write_text("a file where a folder should be")
    ended = server.run(Order(own, EVAL, environment={"XDG_CACHE_HOME": str(own / "nowhere")}))
    assert ended.code == 0, ended.err
    assert counted(own / "run") == counted(whole / "run")


def begun(server: Server, folder: Path, rows: int = 3) -> Running:
    """Start a long run, and return it when it has some rows."""
    running = server.start(Order(folder, (*OWN, "--episodes", "3000", "--out", "run")))
    path = folder / "run" / "rows.jsonl"
    end = time.monotonic() + 60
    while not path.exists() or path.read_bytes().count(b"\n") < rows:
        assert time.monotonic() < end
        time.sleep(0.005)
    return running


def test_data_that_goes_away_ends_the_run_and_keeps_its_rows(server: Server, own: Path, whole: Path) -> None:
    ended = server.run(Order(own, (*EVAL, "--limit", "4")))
    assert ended.code == 0
    (own / "own" / "masks").rename(own / "away")
    ended = server.run(Order(own, (*EVAL, "--resume")))
    assert ended.code == 2
    assert "Traceback" not in ended.err
    assert len(load_run(own / "run").frame) == 4
    (own / "away").rename(own / "own" / "masks")
    continued(server, own, whole)


@pytest.mark.parametrize(("name", "kept"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_command_that_is_told_to_end_does_so_in_time(name: str, kept: int, server: Server, own: Path) -> None:
    running = begun(server, own)
    number = signal.Signals[name]
    for _ in range(2):  # as `timeout` and batch systems do
        running.signal(number)
    killer = threading.Timer(20, running.signal, [signal.SIGKILL])
    killer.start()
    ended = running.wait()
    killer.cancel()
    rows = (own / "run" / "rows.jsonl").read_bytes()
    assert ended.code == kept, ended.err
    assert "Traceback" not in ended.err
    assert rows.endswith(b"}\n")
    assert f"{rows.count(b'}' + chr(10).encode())} evaluated episodes are kept in run" in ended.err
    assert "--episodes 3000 --out run --resume" in ended.err


def test_a_merge_while_a_shard_writes(server: Server, own: Path) -> None:
    words = (*OWN, "--episodes", "60", "--out", "parts")
    assert server.run(Order(own, (*words, "--shard", "1/2"))).code == 0
    running = server.start(Order(own, (*words, "--shard", "2/2")))
    path = own / "parts" / "shard-2-of-2" / "rows.jsonl"
    while not path.exists() or path.read_bytes().count(b"\n") < 3:
        time.sleep(0.002)
    early = server.run(Order(own, ("merge", "parts")))
    assert early.code in (0, 1), early.err
    found = load_run(own / "parts")
    assert (found.missing == 0) == (early.code == 0)
    assert running.wait().code == 0
    assert server.run(Order(own, ("merge", "parts", "--resume"))).code == 0
    assert server.run(Order(own, (*words, "--resume"))).code == 0
    assert server.run(Order(own, (*words[:-1], "straight"))).code == 0
    assert counted(own / "parts") == counted(own / "straight")


def test_a_photo_replaced_between_two_starts_is_refused(server: Server, own: Path) -> None:
    assert server.run(Order(own, (*EVAL, "--limit", "4"))).code == 0
    for path in (own / "own" / "images").iterdir():
        save_photo(path, (40, 60), shade=7)
    before = counted(own / "run")
    ended = server.run(Order(own, (*EVAL, "--resume")))
    assert ended.code == 2
    assert "photos of its rows have changed since" in ended.err
    assert counted(own / "run") == before


def test_a_clock_that_was_set_back_changes_nothing(server: Server, own: Path, whole: Path) -> None:
    assert server.run(Order(own, (*EVAL, "--limit", "4"))).code == 0
    record = json.loads((own / "run" / "run.json").read_text())
    for start in record["starts"]:
        start["time"] = "2099-01-01T00:00:00+00:00"
    (own / "run" / "run.json").write_text(json.dumps(record))
    continued(server, own, whole)
    assert len(load_run(own / "run").run.starts) == 2


@pytest.mark.parametrize(
    "tail",
    [b"\0" * 100, b'{"episode":7,"fo', b"\0" * 64 + b"\n", b"\n"],
    ids=["nuls", "torn", "a line of nuls", "an empty line"],
)
def test_tails_as_power_cuts_leave_them(tail: bytes, server: Server, own: Path, whole: Path) -> None:
    shutil.copytree(whole / "run", own / "run")
    raw = (own / "run" / "rows.jsonl").read_bytes()
    (own / "run" / "rows.jsonl").write_bytes(b"".join(raw.splitlines(keepends=True)[:5]) + tail)
    (own / "run" / "summary.json").unlink()
    continued(server, own, whole)


@pytest.mark.parametrize(
    ("name", "content", "refused"),
    [
        ("rows.jsonl", b"", False),
        ("run.json", b"", True),
        ("run.json", b"\0" * 512, True),
        ("episodes-fold0.json", b"", False),
        ("episodes-fold0.json", b"\0" * 512, False),
        ("summary.json", b"", False),
        ("summary.json", b"{", False),
    ],
)
def test_files_as_power_cuts_leave_them(
    name: str, content: bytes, refused: bool, server: Server, own: Path, whole: Path
) -> None:
    shutil.copytree(whole / "run", own / "run")
    (own / "run" / name).write_bytes(content)
    if not refused:
        continued(server, own, whole)
        assert (own / "run" / "summary.json").read_bytes() == (whole / "run" / "summary.json").read_bytes()
        return
    ended = server.run(Order(own, (*EVAL, "--resume")))
    assert ended.code == 2
    assert "can't be continued" in ended.err
    assert counted(own / "run") == counted(whole / "run")


def test_two_commands_on_one_folder_and_one_cache(server: Server, own: Path, whole: Path) -> None:
    order = Order(own, EVAL)
    both = [server.start(order), server.start(order)]
    ended = sorted((one.wait() for one in both), key=lambda one: one.code)
    assert [one.code for one in ended] in ([0, 2], [0, 0])
    assert not any("Traceback" in one.err for one in ended)
    assert counted(own / "run") == counted(whole / "run")
    elsewhere = [server.start(replace(order, arguments=(*OWN, "--episodes", "8", "--out", n))) for n in ("a", "b")]
    assert [one.wait().code for one in elsewhere] == [0, 0]
    assert counted(own / "a") == counted(own / "b") == counted(whole / "run")
    assert not [name for name in files_in(own / "cache") if Path(name).name.startswith(".")]


@pytest.mark.slow
def test_memory_that_runs_out_is_returned_and_the_run_goes_on_with_fewer(server: Server, tmp_path: Path) -> None:
    words = (
        *("eval", "--method", "hsnet", "--backbone", "resnet50", "--random-weights", "--dataset", "shapes20i"),
        *("--protocol", "hsnet", "--fold", "0", "--episodes", "4", "--out"),
    )
    assert server.run(Order(tmp_path, (*words, "alone"))).code == 0
    limit = {"RLIMIT_AS": server.virtual + (700 << 20)}
    ended = server.run(Order(tmp_path, (*words, "starved", "--batch-size", "64"), limits=limit))
    assert ended.code == 0, ended.err
    assert "memory ran out on cpu; from here 32 episodes in a call" in ended.err
    assert counted(tmp_path / "starved") == counted(tmp_path / "alone")
