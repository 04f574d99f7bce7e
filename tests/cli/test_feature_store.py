"""`fssbench eval --feature-store`: the option, the variable, what is on record, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fssbench.cli.doctor_findings import _caches
from fssbench.engine.features.store import stored

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_the_store_of_a_command(fssbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["eval", "--method", "prototype", "--dataset", "shapes20i", "--fold", "0", "--episodes", "1", "-q"]
    monkeypatch.setenv("FSSBENCH_FEATURE_STORE", "kept")
    assert fssbench(*words, "--out", "one", "--precision", "float16-features")[0] == 0
    assert len(list(stored(tmp_path / "kept"))) == 2
    record = json.loads((tmp_path / "one" / "run.json").read_text())
    assert record["precision"] == "float16-features"
    [found] = [one for one in _caches() if one["cache"] == "feature store"]
    assert found["folder"] == "kept"
    assert found["bytes"] > 1000
    code, _, err = fssbench(*words, "--out", "one", "--resume")
    assert (code, "precision" in err) == (2, True)
    for more, told in (
        (["--feature-store", "one/run.json"], "one/run.json is a file, not a folder"),
        (["--feature-store-size", "much"], "try: --feature-store-size 4GiB"),
        (["--feature-store-size", "0"], "a feature store has room for 1 or more bytes"),
    ):
        assert told in fssbench(*words, *more)[2]
    monkeypatch.delenv("FSSBENCH_FEATURE_STORE")
    assert "that of a feature store" in fssbench(*words, "--feature-store-size", "1GB")[2]
