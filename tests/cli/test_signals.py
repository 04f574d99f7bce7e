"""Commands that are told to end: what is kept, how to go on, and an exit code that says by which signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from fssbench import evaluate
from fssbench.cli.signals import StoppedError, resume_command, stop_on_signals
from fssbench.fast.threads import Call, episodes_at_once, predict_calls
from fssbench.methods.base.method import Prediction
from fssbench.planning.settings import Settings
from fssbench.results import Row, load_run, read_rows
from fssbench.results.progress import Silent
from fssbench.stopping import finishing, requested
from tests.engine.stub import NearestColour, Patches, questions, rules


@pytest.fixture(autouse=True)
def _stopped_as_by_default() -> Iterator[None]:
    """Let SIGHUP and SIGINT stop what runs here, also where tests run under nohup or in the background."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGHUP, signal.SIGINT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


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
    monkeypatch.setattr("fssbench.stopping.time.monotonic", lambda: now[0])
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


@pytest.fixture
def handled() -> Iterator[None]:
    with stop_on_signals():
        yield


@pytest.mark.usefixtures("handled")
def test_what_is_nearly_done_is_finished_first(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), finishing():  # noqa: PT012 - a signal comes in the middle
        os.kill(os.getpid(), signal.SIGINT)
        assert requested()
        done.append("rows")
    assert done == ["rows"]
    assert not requested()
    # A launcher passes the first one on as SIGTERM, which is no second one.
    monkeypatch.setattr("fssbench.stopping.REPEATED", -1.0)
    with pytest.raises(KeyboardInterrupt), finishing():  # noqa: PT012 - a signal comes in the middle
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("more")
    assert done == ["rows", "more"]


@pytest.mark.usefixtures("handled")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fssbench.stopping.REPEATED", 1.0 if number == signal.SIGINT else -1.0)
    with pytest.raises(KeyboardInterrupt), finishing():  # noqa: PT012 - a signal comes in the middle
        os.kill(os.getpid(), number)
        assert requested()
        os.kill(os.getpid(), number)
        pytest.fail("it went on")


@pytest.mark.usefixtures("handled")
def test_what_takes_longer_than_the_deadline_is_not_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fssbench.stopping.DEADLINE", 0.05)
    monkeypatch.setattr("fssbench.stopping.REPEATED", 0.0)
    with pytest.raises(StoppedError) as stop, finishing():  # noqa: PT012 - a signal comes in the middle
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)
        pytest.fail("it went on")
    assert stop.value.exit_code == 143


@pytest.mark.usefixtures("handled")
def test_an_error_in_what_is_finished_is_the_one_that_is_told() -> None:
    with pytest.raises(ValueError, match="broken"), finishing():  # noqa: PT012 - a signal comes in the middle
        os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError("broken")
    assert not requested()


class Signalling(Silent):
    """Sends a signal when the first row is there, as if it came while the episodes of a call are predicted."""

    def __init__(self) -> None:
        self.rows = 0

    def advance(self, row: Row, run: int = 0) -> None:
        self.rows += 1
        if self.rows == 1:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.usefixtures("handled")
def test_all_episodes_of_a_call_have_their_rows(tmp_path: Path) -> None:
    settings = Settings(batch_size=5, workers=0)
    with pytest.raises(StoppedError) as stop:
        evaluate(
            NearestColour(), Patches(), questions(), protocol=rules(), out=tmp_path / "run",
            progress=Signalling(), settings=settings,
        )  # fmt: skip
    kept = read_rows(tmp_path / "run" / "rows.jsonl")
    assert len(kept) == max(5, min(12, 4 * episodes_at_once(torch.device("cpu"))) if torch.get_num_threads() > 1 else 5)
    assert any(f"{len(kept)} evaluated episodes are kept" in note for note in stop.value.__notes__)
    evaluate(NearestColour(), Patches(), questions(), protocol=rules(), out=tmp_path / "run", resume=True)
    assert load_run(tmp_path / "run").missing == 0


@pytest.mark.usefixtures("handled")
def test_no_further_episode_begins_when_the_command_is_told_to_end() -> None:
    begun: list[float] = []

    class Told(NearestColour):
        predicts_in_threads = True

        def predict(self, query: Tensor, supports: Sequence[Sequence[Tensor]], size: tuple[int, int]) -> Prediction:
            begun.append(time.monotonic())
            if len(begun) == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().predict(query, supports, size)

    arguments = (torch.zeros(1, 3, 4, 4), [[torch.zeros(1, 3)]], (4, 4))
    call = Call(Told(), *([one] * 3 for one in arguments))
    with pytest.raises(StoppedError), finishing():  # noqa: PT012 - a signal comes in the middle
        [predictions] = predict_calls([call])
        assert len(predictions) == len(begun) < 3
    assert begun


@pytest.mark.parametrize(
    ("command", "target", "told"),
    [
        (
            ("score", "--predictions", "p", "--episodes", "l.json"),
            "fssbench.predictions.score.score",
            "nothing is kept",
        ),
        (("merge", "s1", "s2", "--out", "whole"), "fssbench.results.merge.merge", "the shards are as they were"),
    ],
)
def test_other_commands_say_what_is_kept_and_how_they_go_on(
    command: tuple[str, ...], target: str, told: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:  # fmt: skip
    from fssbench import cli

    def stopped(*_: object, **__: object) -> None:
        raise StoppedError(signal.SIGTERM)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(target, stopped)
    planned = SimpleNamespace(lists=[], method="m", out="o", request=SimpleNamespace(predictions="p"))
    planned.lists = [SimpleNamespace(dataset="d", way=1, shot=1)]
    planned.protocol = SimpleNamespace(name="x")
    monkeypatch.setattr("fssbench.predictions.plan.plan_score", lambda _: planned)
    monkeypatch.setattr("fssbench.results.merge.shards_in", lambda folders: list(folders))
    monkeypatch.setattr(sys, "argv", ["fssbench", *command])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capsys.readouterr().err.splitlines()
    assert stop.value.code == 143
    assert told in said[-3]
    assert said[-2:] == [f"  try: fssbench {' '.join(command)}", "stopped by SIGTERM"]
    assert "--resume" not in said[-2]


@pytest.mark.usefixtures("handled")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_import_is_finished_first(number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A compiled module that is told KeyboardInterrupt while it begins raises another error, or aborts.
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "that_is_told.py").write_text(f"import os\nos.kill(os.getpid(), {int(number)})\nwhole = True\n")
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - it comes after the import
        import that_is_told  # type: ignore[import-not-found]  # written above

        assert that_is_told.whole
        time.sleep(20)
        pytest.fail("it went on")
    assert sys.modules.pop("that_is_told").whole


@pytest.mark.usefixtures("handled")
def test_an_import_is_not_waited_for_longer_than_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fssbench.stopping.DEADLINE", 0.05)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "that_hangs.py").write_text("import os, time\nos.kill(os.getpid(), 2)\ntime.sleep(20)\n")
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - it comes in the import
        import that_hangs  # type: ignore[import-not-found]  # noqa: F401 - written above

        pytest.fail("it went on")


@pytest.mark.usefixtures("handled")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_that_python_drops_is_made_again(number: signal.Signals) -> None:
    class Closed:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)

    closed = Closed()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - it comes again
        del closed
        time.sleep(20)
        pytest.fail("it went on")


def test_a_request_that_waits_ends_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "the_last.py").write_text("import os\nos.kill(os.getpid(), 15)\n")
    monkeypatch.setattr("fssbench.stopping.POSTPONED", 0.2)
    with stop_on_signals():
        import the_last  # type: ignore[import-not-found]  # noqa: F401 - written above
    time.sleep(0.4)  # the default handler would end this process
