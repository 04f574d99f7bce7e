"""What docs/predictions.md tells somebody without fssbench to do works as it stands there."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from fssbench.episode.schema import AnswerRecord, EpisodeFile, EpisodeRecord
from fssbench.predictions.plan import ScoreRequest, plan_score
from fssbench.predictions.presence import read_presence
from fssbench.predictions.score import score
from tests.engine.stub import Patches
from tests.predictions.tiny import listed

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "predictions.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "way"), [("shapes", 1), ("shapes-fscs", 2)])
def test_the_snippet_writes_what_is_scored(
    name: str, way: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patches: None
) -> None:
    monkeypatch.chdir(tmp_path)
    episodes, path = listed(name, way, tmp_path)
    path.rename("list-fold0.json")
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

    def segment(query: str, classes: list[int], supports: list[list[str]]) -> list[list[int]]:
        assert [len(names) for names in supports] == [1] * way
        label = Patches().label(query)
        return sum((label == class_id) * n for n, class_id in enumerate(classes, 1)).tolist()

    (tmp_path / "answer.py").write_text(snippet)
    runpy.run_path("answer.py", {"segment": segment})
    results = score(plan_score(ScoreRequest("predictions", "list-fold0.json", method_name="My Net")))
    assert len(results.frame) == len(episodes)
    # The truth itself: every pixel is right, and so is what is said to be there.
    assert results.frame["intersection"].tolist() == results.frame["union"].tolist()
    assert results.frame["present"].tolist() == results.frame["truth"].tolist()
    assert np.concatenate(results.frame["union"].to_list()).sum() > 0


def test_the_presence_answers_on_the_page_are_read(tmp_path: Path) -> None:
    as_json = re.search(r"^ {4}(\{.*\})$", PAGE, re.MULTILINE)
    as_csv = re.search(r"^ {4}id,1,2\n(?: {4}.*\n)+", PAGE, re.MULTILINE)
    assert as_json
    assert as_csv
    (tmp_path / "presence.json").write_text(as_json[1])
    (tmp_path / "presence.csv").write_text(as_csv[0].replace("    ", ""))
    assert read_presence(tmp_path / "presence.json") == read_presence(tmp_path / "presence.csv")


def test_every_field_of_a_list_is_explained(tmp_path: Path) -> None:
    _, path = listed("shapes", 1, tmp_path)
    document = json.loads(path.read_text())
    for fields in (document, document["answer"], document["episodes"][0]):
        assert not [name for name in fields if f"`{name}`" not in PAGE]
    for model in (EpisodeFile, AnswerRecord, EpisodeRecord):
        assert not [name for name in model.model_fields if f"`{name}`" not in PAGE]
