"""Jobs of a cluster: a shard that has to stop ends well and is queued again with the same command."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fssbench.engine.cluster import ShardJob

STOPPABLE = """
import pathlib, signal, sys, time
def stop(*_):
    pathlib.Path(sys.argv[1]).write_text("ended well")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1]).write_text("began")
time.sleep(60)
"""


def test_a_job_that_has_to_stop_is_queued_again_with_its_command(tmp_path: Path):
    pytest.importorskip("submitit")
    told = tmp_path / "told"
    command = [sys.executable, "-S", "-c", STOPPABLE, str(told)]
    job, ended = ShardJob(), []

    def run() -> None:
        with pytest.raises(subprocess.CalledProcessError) as failed:
            job(command)
        ended.append(failed.value.returncode)

    thread = threading.Thread(target=run)
    thread.start()
    while not told.exists() or told.read_text() != "began":
        time.sleep(0.01)
    again = job.checkpoint(command)
    thread.join(20)
    assert (told.read_text(), ended) == ("ended well", [143])
    assert isinstance(again.function, ShardJob)
    assert again.function is not job
    assert (list(again.args), again.kwargs) == ([command], {})


def test_a_job_whose_shard_fails_fails():
    assert ShardJob()([sys.executable, "-S", "-c", ""]) == 0
    with pytest.raises(subprocess.CalledProcessError, match="exit status 3"):
        ShardJob()([sys.executable, "-S", "-c", "raise SystemExit(3)"])
