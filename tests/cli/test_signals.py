"""Commands that are told to end: what is kept, how to go on, and an exit code that says by which signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from fssbench.cli.signals import StoppedError, resume_command, stop_on_signals


@pytest.fixture(autouse=True)
def _hung_up_as_by_default() -> Iterator[None]:
    """Let SIGHUP stop what is started here, also where the tests themselves run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_evaluation_says_what_it_keeps_and_goes_on_where_it_was(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    command = ["eval", "--method", "copy-mask", "--dataset", "shapes20i", "--fold", "0", "--shots", "1"]
    started = [sys.executable, "-m", "fssbench", *command, "--out", "a run", "--overwrite"]
    with subprocess.Popen(started, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        process.stderr.readline()  # where the rows go
        process.stderr.readline()  # the fold begins
        rows = tmp_path / "a run" / "rows.jsonl"
        while process.poll() is None and not (rows.exists() and rows.stat().st_size):
            pass
        process.send_signal(number)
        process.send_signal(number)  # as `timeout` does
        told = process.stderr.read().splitlines()[-3:]
        assert process.stdout.read() == ""
    kept = len(rows.read_text().splitlines())
    assert 0 < kept < 200
    assert process.returncode == code
    assert told == [
        f"{kept} evaluated episodes are kept in a run; resume continues after them",
        f"  try: fssbench {' '.join(command)} --out 'a run' --resume",
        f"stopped by {number.name}",
    ]


def test_a_training_says_where_its_state_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fssbench import cli
    from fssbench.training import run

    def told_to_end(plan: SimpleNamespace, watch: object, notify: object) -> None:
        if plan.seed:
            plan.folder.mkdir()
            (plan.folder / "state.pt").write_bytes(b"")
        raise StoppedError(signal.SIGTERM)

    monkeypatch.setattr(run, "run_plan", told_to_end)
    monkeypatch.chdir(tmp_path)
    for seed, expected in (
        ("0", "stopped by SIGTERM\n"),
        (
            "1",
            "the training state in out is kept, without the steps of the last minute\n"
            "  try: fssbench train --dataset shapes20i --fold 0 --backbone small --out out --seed 1 --resume\n"
            "stopped by SIGTERM\n",
        ),
    ):
        given = ["--dataset", "shapes20i", "--fold", "0", "--backbone", "small", "--out", "out", "--seed", seed]
        monkeypatch.setattr(sys, "argv", ["fssbench", "train", *given])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert (stop.value.code, capsys.readouterr().err) == (143, expected)


def test_a_request_that_comes_twice_stops_no_clean_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("fssbench.cli.signals.time.monotonic", lambda: now[0])
    with stop_on_signals():
        for number in (signal.SIGTERM, signal.SIGHUP):
            with pytest.raises(StoppedError) as stop:
                os.kill(os.getpid(), number)
            assert stop.value.exit_code == 128 + number
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
            now[0] += 60  # the first request went unheard
    assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGHUP) == signal.SIG_DFL


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("given", [["eval", "--out", "a b"], ["eval", "--out", "a b", "--resume"]])
def test_the_command_that_goes_on_asks_the_same(given: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/fssbench", *given])
    assert resume_command() == "fssbench eval --out 'a b' --resume"
