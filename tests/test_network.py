"""Nothing is sent or fetched that was not asked for: no telemetry, no check for versions, no code from elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
COMMANDS = (
    ["--version"],
    ["list", "methods"],
    ["doctor"],
    ["checkpoints", "list"],
    ["table", "--source", "published"],
    ["eval", "--method", "copy-mask", "--dataset", "shapes20i", "--fold", "0", "--limit", "2", "--out", "run"],
    ["table", "--runs", "run"],
    ["eval", "--method", "hsnet", "--dataset", "pascal5i"],
)
WATCHED = """
import importlib, json, pkgutil, runpy, sys
reached = []
def watch(event, arguments):
    # What a library opens to see whether there is IPv6 goes nowhere: it is neither connected nor looked up.
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"):
        reached.append(f"{event} {arguments[-1]}")
sys.addaudithook(watch)
import fssbench
for module in pkgutil.walk_packages(fssbench.__path__, "fssbench."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["fssbench", *arguments]
    try:
        runpy.run_module("fssbench", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        print(json.dumps([arguments, end.code, reached]), file=sys.stderr)
"""


@pytest.mark.slow  # `make test` imports and runs as much, without watching
def test_importing_and_running_reaches_no_network(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WATCHED, json.dumps(COMMANDS)],
        check=True, capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    ended = [json.loads(line) for line in answer.stderr.splitlines() if line.startswith("[[")]
    assert [arguments for arguments, _, _ in ended] == list(COMMANDS), answer.stderr
    assert [code or 0 for _, code, _ in ended] == [0] * (len(COMMANDS) - 1) + [2], answer.stderr
    assert [reached for _, _, reached in ended] == [[]] * len(COMMANDS)
