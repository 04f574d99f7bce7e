"""Predictions in files count as the same answers counted natively; nothing else is counted, nothing is half-written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fssbench.comparison.pairing import pair
from fssbench.datasets.dataset import Label
from fssbench.engine.loop import rows_of
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.predictions.plan import ScoreRequest, plan_score
from fssbench.predictions.saving import SavedPredictions
from fssbench.predictions.score import score
from fssbench.protocols.rules import protocol
from fssbench.results import Existing, load_run, read_rows
from fssbench.results.run_writer import RunFolder
from tests.engine.stub import NearestColour, Patches
from tests.predictions.tiny import Doubtful, answered_natively, empty_answers, listed, timeless

pytestmark = pytest.mark.usefixtures("patches")


def request(tmp_path: Path, **more: object) -> ScoreRequest:
    asked = {"predictions": str(tmp_path / "given"), "episodes": str(tmp_path / "list.json"), "out": tmp_path / "run"}
    return ScoreRequest(**{**asked, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("shapes", 1), ("hsnet", 1), ("hsnet@original", 1), ("panet", 1), ("pfenet", 1), ("pfenet@input", 1),
        ("shapes-fscs", 2), ("ifsl-fscs", 2), ("ifsl-fscs", 3),
    ],
)  # fmt: skip
def test_the_rows_are_those_of_the_method_itself(name: str, way: int, tmp_path: Path) -> None:
    episodes, _ = listed(name, way, tmp_path)
    native = answered_natively(episodes, tmp_path / "given", NearestColour(way), presence=False)
    assert any(row.intersection[-1] for row in native)
    results = score(plan_score(request(tmp_path)))
    assert timeless(read_rows(tmp_path / "run" / "rows.jsonl")) == timeless(native)
    assert load_run(tmp_path / "run").summary() == results.summary()
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["episodes"] == 12
    assert results.run.protocol.name == name


def test_presence_answers_are_taken_as_given(tmp_path: Path) -> None:
    episodes, _ = listed("shapes-fscs", 2, tmp_path)
    native = answered_natively(episodes, tmp_path / "given", Doubtful(2), presence=True)
    score(plan_score(request(tmp_path)))
    assert timeless(read_rows(tmp_path / "run" / "rows.jsonl")) == timeless(native)
    first = json.loads((tmp_path / "run" / "run.json").read_text())["folds"][0]["weights"]["sha256"]
    (tmp_path / "given" / "presence.json").unlink()
    other = score(plan_score(request(tmp_path, out=tmp_path / "other")))
    assert [row.present for row in read_rows(tmp_path / "other" / "rows.jsonl")] != [row.present for row in native]
    assert other.run.folds[0].weights.sha256 != first, "the hash covers the presence too"


def test_names_for_tables_are_on_record(tmp_path: Path) -> None:
    episodes, _ = listed("shapes", 1, tmp_path)
    empty_answers(episodes, tmp_path / "given")
    named = {"label": "MyNet (ours)", "label_backbone": "ViT-B/16"}
    run = score(plan_score(request(tmp_path, **named))).run
    assert (run.label, run.label_backbone) == ("MyNet (ours)", "ViT-B/16")
    assert load_run(tmp_path / "run").run == run


def test_the_run_says_that_the_answers_came_as_files(tmp_path: Path) -> None:
    episodes, _ = listed("shapes", 1, tmp_path)
    given = empty_answers(episodes, tmp_path / "given")
    run = score(plan_score(request(tmp_path, method_name="Old Torch Net", backbone="vgg16"))).run
    assert (run.method.name, run.method.backbone, run.method.task) == ("Old Torch Net", "vgg16", "fss")
    weights = run.folds[0].weights
    assert (weights.kind, weights.path) == ("predictions", str(given))
    again = score(plan_score(request(tmp_path, out=tmp_path / "again"))).run
    assert again.folds[0].weights.sha256 == weights.sha256
    assert again.method.name == "given"
    (given / "fold0-00003.png").write_bytes((given / "fold0-00003.png").read_bytes() + b"more")
    changed = score(plan_score(request(tmp_path, out=tmp_path / "changed"))).run
    assert changed.folds[0].weights.sha256 != weights.sha256


def test_missing_and_extra_are_counted_and_named(tmp_path: Path) -> None:
    episodes, _ = listed("shapes", 1, tmp_path)
    given = empty_answers(episodes, tmp_path / "given")
    for number in (1, 2, 5, 7, 8):
        (given / f"fold0-{number:05d}.png").unlink()
    for name in ("fold0-00012.png", "notes.txt", "fold1-00000.png", ".DS_Store", "fold0-00000-base.png"):
        (given / name).touch()
    with pytest.raises(BrokenFileError) as caught:
        plan_score(request(tmp_path))
    assert caught.value.message.endswith(
        "5 of 12 predictions are missing: fold0-00001.png, fold0-00002.png, fold0-00005.png and 2 more; "
        "3 files are of no episode: fold0-00000-base.png, fold0-00012.png, notes.txt"
    )
    assert "--allow-missing" in str(caught.value.remedy)
    assert not (tmp_path / "run").exists()


def test_only_on_request_episodes_are_left_out_and_the_run_says_so(tmp_path: Path) -> None:
    episodes, _ = listed("shapes", 1, tmp_path)
    given = empty_answers(episodes, tmp_path / "given")
    (given / "fold0-00004.png").unlink()
    results = score(plan_score(request(tmp_path, allow_missing=True)))
    assert [row.episode for row in read_rows(tmp_path / "run" / "rows.jsonl")] == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]
    assert (results.missing, results.run.folds[0].unanswered) == (0, 1)
    assert (tmp_path / "run" / "summary.json").exists()
    for file in given.iterdir():
        file.unlink()
    with pytest.raises(BrokenFileError, match="none of the 12 predictions is there, such as fold0-00000"):
        plan_score(request(tmp_path, allow_missing=True, out=tmp_path / "other"))


def test_label_maps_of_another_size_are_counted_and_named(tmp_path: Path) -> None:
    episodes, _ = listed("hsnet", 1, tmp_path)
    empty_answers(episodes, tmp_path / "given")
    with pytest.raises(BrokenFileError) as caught:
        score(plan_score(request(tmp_path)))
    assert "12 of 12 predictions can't be counted: " in caught.value.message
    assert "fold0-00000.png has 20 x 30 pixels, not 400 x 400" in caught.value.message
    assert caught.value.message.endswith("and 9 more")
    assert "--score-at original" in str(caught.value.remedy)
    assert not (tmp_path / "run").exists()
    assert score(plan_score(request(tmp_path, score_at="original"))).run.protocol.name == "hsnet@original"


def test_a_run_that_can_not_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    episodes, _ = listed("shapes", 1, tmp_path)
    empty_answers(episodes, tmp_path / "given")
    append = RunFolder.append

    def full(folder: RunFolder, row: object) -> None:
        if len(folder.rows) == 5:
            raise UsageError("no space left")
        append(folder, row)  # type: ignore[arg-type]

    monkeypatch.setattr(RunFolder, "append", full)
    with pytest.raises(UsageError, match="no space"):
        score(plan_score(request(tmp_path)))
    assert not (tmp_path / "run").exists()


def test_a_run_is_replaced_only_on_request(tmp_path: Path) -> None:
    episodes, _ = listed("shapes", 1, tmp_path)
    empty_answers(episodes, tmp_path / "given")
    score(plan_score(request(tmp_path)))
    with pytest.raises(UsageError, match="holds a run already"):
        plan_score(request(tmp_path))
    replaced = plan_score(request(tmp_path, method_name="other", existing=Existing.OVERWRITE))
    assert score(replaced).folder == tmp_path / "run"
    assert load_run(tmp_path / "run").run.method.name == "other"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(UsageError, match="files that do not belong to a run"):
        plan_score(request(tmp_path, out=tmp_path / "mine", existing=Existing.OVERWRITE))


@pytest.mark.parametrize(
    ("more", "kind", "message"),
    [
        ({"predictions": "nowhere"}, MissingError, "no folder of predictions nowhere"),
        ({"episodes": "gone.json"}, MissingError, "no episode list"),
        ({"episodes": "100"}, UsageError, "not the number 100"),
        ({"dataset": "pascal5i"}, UsageError, "--dataset pascal5i does not fit the list"),
        ({"fold": "3"}, UsageError, "--fold 3 does not fit the list"),
        ({"protocol": "hsnot"}, UsageError, "unknown protocol"),
        ({"protocol": "ifsl-fscs", "score_at": "input"}, UsageError, "original size only"),
        ({"train_dataset": "pascal"}, UsageError, "unknown dataset"),
        ({"method_name": "a\x1b[31m"}, UsageError, "printable"),
        ({"method_name": " "}, UsageError, "printable"),
    ],
)
def test_mistakes(more: dict[str, object], kind: type[Exception], message: str, tmp_path: Path) -> None:
    episodes, _ = listed("shapes", 1, tmp_path)
    empty_answers(episodes, tmp_path / "given")
    with pytest.raises(kind, match=message):
        plan_score(request(tmp_path, **more))
    assert not (tmp_path / "run").exists()


def test_a_list_of_no_protocol_needs_one(tmp_path: Path) -> None:
    episodes, _ = listed("none", 1, tmp_path)
    empty_answers(episodes, tmp_path / "given")
    assert "answer" not in json.loads((tmp_path / "list.json").read_text())
    with pytest.raises(UsageError, match="names no protocol"):
        plan_score(request(tmp_path))
    assert score(plan_score(request(tmp_path, protocol="shapes"))).run.folds[0].drawn_by == "none"


def test_runs_are_compared_on_what_both_answer(tmp_path: Path) -> None:
    episodes, _ = listed("shapes", 1, tmp_path)
    given = empty_answers(episodes, tmp_path / "given")
    whole = score(plan_score(request(tmp_path)))
    (given / "fold0-00004.png").unlink()
    partial = score(plan_score(request(tmp_path, allow_missing=True, out=tmp_path / "partial")))
    for runs in ([whole, partial], [partial, whole]):
        paired = pair(runs)
        assert [frame["episode"].tolist() for frame in paired.frames] == [[0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]] * 2
        (note,) = [note for note in paired.notes if "without a prediction" in note]
        assert str(tmp_path / "partial") in note
    for file in given.iterdir():
        if file.name != "fold0-00005.png":
            file.rename(given / f".{file.name}")
    one = score(plan_score(request(tmp_path, allow_missing=True, out=tmp_path / "one")))
    (given / "fold0-00005.png").unlink()
    (given / ".fold0-00006.png").rename(given / "fold0-00006.png")
    other = score(plan_score(request(tmp_path, allow_missing=True, out=tmp_path / "other")))
    with pytest.raises(UsageError, match="no episode has a prediction in all"):
        pair([one, other])


def test_a_query_that_lost_its_class_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    episodes, _ = listed("shapes", 1, tmp_path)
    empty_answers(episodes, tmp_path / "given")
    plan = plan_score(request(tmp_path))
    monkeypatch.setattr(Patches, "label", lambda self, name: np.zeros((20 + int(name[1:]), 30), dtype=np.uint8))
    with pytest.raises(BrokenFileError, match=r"p0: the label map has no pixel of 'class1' \(1\)"):
        score(plan)
    assert not (tmp_path / "run").exists()


class Repainted(Patches):
    """One mask is its mirror image: as many pixels, elsewhere."""

    def label(self, name: str) -> Label:
        label = super().label(name)
        return np.ascontiguousarray(label[:, ::-1]) if name == "p2" else label


def test_a_mask_that_was_replaced_since_the_predictions_were_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    episodes, _ = listed("shapes", 1, tmp_path)
    saved = SavedPredictions(tmp_path / "given", [0], Existing.REFUSE)
    rows = list(
        rows_of(
            NearestColour().eval(),
            Patches(),
            episodes,
            protocol("shapes").on("shapes20i"),
            range(len(episodes)),
            torch.device("cpu"),
            saved.save,
        )
    )
    saved.finish(rows)
    results = score(plan_score(request(tmp_path)))
    assert timeless(read_rows(tmp_path / "run" / "rows.jsonl")) == timeless(rows)
    assert results.frame["masks"].tolist() == [(row.masks[0], "") for row in rows if row.masks]
    monkeypatch.setattr("fssbench.datasets.open_dataset", lambda *asked, **options: Repainted())
    changed = [row.episode for row in rows if row.query == "p2"]
    message = f"the masks of {len(changed)} of 12 queries have changed .* the first that of fold0-{changed[0]:05d}"
    with pytest.raises(BrokenFileError, match=message) as refused:
        score(plan_score(request(tmp_path, out=tmp_path / "other")))
    assert not (tmp_path / "other").exists()
    assert str(tmp_path / "given" / "masks.json") in str(refused.value.remedy)
    twice = '{"fold0-00002": "a", "fold0-00002": "b"}'
    for text, said in ((twice, "twice"), ("[]", "not an object"), ("{", "not JSON")):
        (tmp_path / "given" / "masks.json").write_text(text)
        with pytest.raises(BrokenFileError, match=said):
            score(plan_score(request(tmp_path, out=tmp_path / "other")))
    (tmp_path / "given" / "masks.json").unlink()
    score(plan_score(request(tmp_path, out=tmp_path / "other")))
