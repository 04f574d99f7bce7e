"""Rows do not depend on how many episodes are predicted in a call."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import torch

from fssbench import evaluate
from fssbench.layers import devices
from fssbench.planning.settings import Settings
from tests.engine.stub import Patches, questions, rules
from tests.methods.narrow import SIDE, narrow

METHODS = [("pfenet", "fss"), ("asgnet", "fss"), ("hsnet", "fss"), ("hsnet", "fscs"), ("panet", "fscs")]


def _rows(name: str, variant: str, settings: Settings) -> pd.DataFrame:
    way = 2 if variant == "fscs" else 1
    method = narrow(name, variant, way, 2)
    # Images have different sizes, and so do the predictions.
    chosen = replace(rules("shapes" if way == 1 else "ifsl-fscs"), input=(SIDE, SIDE), score_at="original")
    episodes = questions(way=way, shot=2, count=7)
    return evaluate(method, Patches(), episodes, protocol=chosen, settings=settings).frame.drop(columns="seconds")


@pytest.mark.parametrize("jointly", [False, True])
@pytest.mark.parametrize(("name", "variant"), METHODS)
def test_rows_do_not_depend_on_the_batch_size_or_the_workers(
    name: str, variant: str, jointly: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = _rows(name, variant, Settings(batch_size=1))
    assert sum(row[1] for row in alone["intersection"]) > 0
    if jointly:
        monkeypatch.setattr(devices, "SERIAL_ON", frozenset())
    for settings in (
        Settings(batch_size=4),
        Settings(batch_size=4, workers=3),
        Settings(batch_size=7, feature_cache=0),
    ):
        pd.testing.assert_frame_equal(_rows(name, variant, settings), alone)


@pytest.mark.parametrize("threads", [2, pytest.param(3, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("name", "variant"),
    [
        *(pytest.param(*form, marks=pytest.mark.slow) for form in METHODS if form != ("hsnet", "fscs")),
        ("hsnet", "fscs"),
        ("asnet", "fscs"),
        ("prototype", "fss"),
        pytest.param("bam", "fss", marks=pytest.mark.slow),
    ],
)
@pytest.mark.usefixtures("threads_restored")
def test_rows_do_not_depend_on_how_many_threads_answer(name: str, variant: str, threads: int) -> None:
    torch.set_num_threads(1)
    alone = _rows(name, variant, Settings())
    torch.set_num_threads(threads)
    for settings in (Settings(), Settings(feature_cache=0), Settings(batch_size=5, workers=2)):
        pd.testing.assert_frame_equal(_rows(name, variant, settings), alone)
