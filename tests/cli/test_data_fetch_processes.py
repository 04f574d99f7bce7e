"""`fssbench data fetch` that is interrupted, and two of them at once, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fssbench.datasets.fetching import sources
from tests.cli.test_data_fetch import files_in, photo
from tests.datasets.fetching.conftest import COCO, IDS, Change, coco, host, mirror, stated, zipped
from tests.downloads.host import Host

__all__ = ["coco", "host", "mirror", "stated"]

SCRIPT = """
import json, signal, sys
from fssbench.datasets.fetching import sources
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background of a shell
raw = json.loads(sys.argv.pop(1))
sources._stated = lambda: raw
from fssbench.cli import main
main()
"""


def started(*arguments: str) -> subprocess.Popen[str]:
    """Start the command in a process of its own, with what the test states of the sources."""
    command = [sys.executable, "-c", SCRIPT, json.dumps(sources._stated()), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_ctrl_c_prints_the_command_that_continues(coco: Host, stated: Change, fssbench: Any, tmp_path: Path) -> None:
    content = zipped({photo(i): os.urandom(200_000) for i in IDS})
    coco.files[f"{COCO}/zips/val2014.zip"] = content
    stated("coco20i", "val2014.zip", content, holds={"val2014/*.jpg": len(IDS)})
    coco.pause = 0.05
    command = ("data", "fetch", "coco20i", "--split", "val", "--root", str(tmp_path))
    process = started(*command)
    part = tmp_path / "COCO2014" / ".fssbench" / "val2014.zip.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert f"what has arrived is kept in {tmp_path / 'COCO2014'}" in err
    assert f"  try: fssbench {' '.join(command)}" in err.splitlines()
    assert 0 < part.stat().st_size < len(content)
    coco.pause = 0
    coco.requests.clear()
    assert fssbench(*command)[0] == 0
    assert coco.requests[0][1].startswith("bytes=")
    assert len(files_in(tmp_path / "COCO2014" / "val2014")) == len(IDS)


def test_two_fetches_at_once_do_not_disturb_each_other(coco: Host, tmp_path: Path) -> None:
    coco.pause = 0.02
    command = ("data", "fetch", "coco20i", "--split", "val", "--root", str(tmp_path))
    processes = [started(*command) for _ in range(2)]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    asked = [path for path, _ in coco.requests]
    assert sorted(asked) == sorted(set(asked))
    assert len(files_in(tmp_path / "COCO2014" / "val2014")) == len(IDS)


def test_an_evaluation_that_is_interrupted_keeps_its_photos_and_goes_on(
    coco: Host, fssbench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    coco.pause = 0.3
    command = ["eval", "--method", "copy-mask", "--dataset", "coco20i", "--protocol", "hsnet", "--fold", "0", "--fetch"]
    command += ["--episodes", "6", "--root", "new", "--out", "run", "--quiet", "--skip-short-classes"]
    process = started(*command)
    photos = tmp_path / "new" / "COCO2014" / "val2014"
    deadline = time.monotonic() + 60
    while not (photos.exists() and list(photos.glob("*.jpg"))) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "photos that have arrived are kept in new/COCO2014" in err
    assert f"  try: fssbench {' '.join(command)} --resume" in err.splitlines()
    assert 0 < len(list(photos.iterdir())) < len(IDS)
    coco.pause = 0
    code, _, err = fssbench(*command, "--resume")
    assert code == 0, err
    assert len((tmp_path / "run" / "rows.jsonl").read_text().splitlines()) == 6
