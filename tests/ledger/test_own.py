"""What methods and weights from outside say for the ledger."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from fssbench.checkpoints.training import stated_training
from fssbench.errors import BrokenFileError, UsageError
from fssbench.ledger.facts import Facts
from fssbench.methods.building import build
from fssbench.methods.catalogue import MethodInfo, method_info
from fssbench.planning.plan import plan, planned_run
from fssbench.planning.records import method_record
from fssbench.planning.request import Request
from fssbench.results.ledger import ledger_of
from fssbench.results.weights_record import Trained

CODE = '''
class Net:
    """A network."""
    ledger = {ledger}

    def encode(self, image): return image
    def condition(self, features, mask): return mask
    def predict(self, query, supports, size): return supports[0][0][0].long()
'''


def weights(path: Path, **metadata: str) -> Path:
    header = json.dumps({"__metadata__": metadata}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return path


def test_a_class_declares_its_ledger_and_the_record_of_a_run_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(
        CODE.replace("{ledger}", '{"training": "none", "given": ["masks", "text"], "pretraining": "network"}')
    )
    facts = Facts(pretraining=("network",), training="none", given=("masks", "text"))
    assert method_info(f"{path}:Net").facts("pascal5i") == facts
    assert method_record(build(f"{path}:Net")).ledger == {
        "pretraining": ("network",),
        "training": "none",
        "given": ("masks", "text"),
    }


def test_the_record_of_a_planned_run_has_it_and_so_have_its_facts(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(CODE.replace("{ledger}", '{"training": "all masks", "adapts": "support and query"}'))
    run = planned_run(plan(Request(f"{path}:Net", "shapes20i", episodes="2", fold="0")))
    assert run.method.ledger == {"training": "all masks", "adapts": "support and query"}
    facts, seen = ledger_of(run)
    assert (facts.training, facts.adapts) == ("all masks", "support and query")
    assert seen.masks == run.folds[0].class_names
    assert planned_run(plan(Request("copy-mask", "shapes20i", episodes="2", fold="0"))).method.ledger == {}


def test_a_class_with_a_wrong_ledger_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(CODE.replace("{ledger}", '{"training": "nothing at all"}'))
    with pytest.raises(UsageError, match=r"Net: ledger: training is 'nothing at all'; it is one of none, base masks"):
        method_info(f"{path}:Net")
    with pytest.raises(UsageError, match="other: its ledger is int"):
        MethodInfo("other", "a:b", "", "", "", {"": "fss"}, (), False, ledger=7)  # type: ignore[arg-type]


def test_weights_say_what_they_have_learnt(tmp_path: Path) -> None:
    named = weights(
        tmp_path / "a", dataset="mine", fold="2", trained_classes='["bird"]', novel_images="kept", chosen_on="nothing"
    )
    assert stated_training(named) == Trained("mine", 2, ("bird",), "kept", "nothing")
    earlier = stated_training(weights(tmp_path / "b", dataset="pascal5i", fold="0"))
    assert earlier is not None
    assert len(earlier.classes or ()) == 15
    assert (earlier.novel_images, earlier.chosen_on) == (None, None)
    assert stated_training(weights(tmp_path / "c", network="hsnet")) is None
    assert stated_training(weights(tmp_path / "d", dataset="pascal5i", fold="-1")) is None


@pytest.mark.parametrize(
    "metadata",
    [
        {"trained_classes": "[" * 100_000},
        {"trained_classes": '"bird"'},
        {"trained_classes": '["\\u001b[31mred"]'},
        {"trained_classes": json.dumps(["x"] * 2001)},
        {"trained_classes": "{}"},
        {"novel_images": "perhaps"},
        {"chosen_on": "\x00"},
    ],
)
def test_hostile_metadata_is_refused(tmp_path: Path, metadata: dict[str, str]) -> None:
    with pytest.raises(BrokenFileError) as caught:
        stated_training(weights(tmp_path / "a", dataset="pascal5i", fold="0", **metadata))
    assert caught.value.message.isprintable()
