"""Backbones from the hub in a plan: pinned, recorded, and refused where they do not fit; torch is not needed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fssbench.checkpoints import file_sha256
from fssbench.errors import BrokenFileError, CheckpointError, MissingError, UsageError
from fssbench.planning.plan import Plan, plan, planned_run
from fssbench.planning.request import Request
from fssbench.results.differences import first_difference
from fssbench.results.run_reader import Existing
from tests.hub.conftest import COMMIT, hub_cache, hub_error, stored
from tests.tables.runs import write_run

__all__ = ["hub_cache", "hub_error", "stored"]

CONFIG = {"model_type": "dinov2", "num_hidden_layers": 4, "hidden_size": 32, "patch_size": 14}


def safetensors(value: int = 0) -> bytes:
    header = json.dumps({"a": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes([value, 0])


@pytest.fixture
def model(stored: Callable[..., Path]) -> Path:
    """The snapshot of owner/name."""
    return stored("owner/name", {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": safetensors()})


def planned(backbone: str, method: str = "prototype", **options: Any) -> Plan:
    return plan(Request(method, "shapes20i", backbone=backbone, episodes="5", fold="0", **options))


def test_the_commit_the_hash_and_the_layers_are_on_record(model: Path) -> None:
    found = planned("hf:owner/name")
    weights = planned_run(found).folds[0].weights
    sha256 = file_sha256(model / "model.safetensors")
    assert (weights.kind, weights.sha256) == ("checkpoint", sha256)
    (recorded,) = weights.hub
    assert (recorded.repository, recorded.revision, recorded.sha256) == ("owner/name", COMMIT, sha256)
    assert (recorded.precision, recorded.layers) == ("float16", (2, 3, 4))
    assert recorded.describe() == "owner/name at 0123456789ab, float16, licence unknown, layers 2, 3, 4"
    assert planned_run(found).method.backbone == "hf:owner/name"
    assert found.pinned_backbone == f"hf:owner/name@{COMMIT}"
    assert planned("hf:owner/name@main#1,4").pinned_backbone == f"hf:owner/name@{COMMIT}#1,4"
    assert found.out.parts[-1].startswith("prototype-hf-owner-name-shapes20i")


def test_the_licence_of_a_registered_model_is_known_without_its_card(stored: Callable[..., Path]) -> None:
    files = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": safetensors()}
    stored("facebook/dinov2-large", files)
    (recorded,) = planned("hf:facebook/dinov2-large").sources[0].record.hub
    assert recorded.licence == "Apache-2.0"


def test_another_commit_or_other_weights_are_another_run(
    model: Path, stored: Callable[..., Path], tmp_path: Path
) -> None:
    before = planned_run(planned("hf:owner/name"))
    assert first_difference(before, planned_run(planned("hf:owner/name"))) is None
    files = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": safetensors()}
    stored("owner/name", files, "f" * 40)  # the branch has moved on
    found = first_difference(before, planned_run(planned("hf:owner/name")))
    assert found is not None
    assert (found.stored, found.requested) == (COMMIT, "f" * 40)
    assert first_difference(before, planned_run(planned(f"hf:owner/name@{COMMIT}"))) is None
    write_run(tmp_path / "run", before, 0.5)
    with pytest.raises(UsageError, match=r"hub\.revision is 0123") as caught:
        planned("hf:owner/name", out=tmp_path / "run", existing=Existing.RESUME)
    assert f"--backbone hf:...@{COMMIT}" in (caught.value.remedy or "")
    assert first_difference(before, planned_run(planned("hf:owner/name#1,2,3"))) is not None


def test_a_trained_method_has_its_own_checkpoint_and_the_backbone_of_the_hub(model: Path, tmp_path: Path) -> None:
    head = tmp_path / "head.safetensors"
    head.write_bytes(safetensors(1))
    found = planned("hf:owner/name", "hsnet", checkpoint=str(head))
    weights = planned_run(found).folds[0].weights
    assert found.sources[0].paths == (head,)
    assert (weights.sha256, weights.backbone_sha256) == (
        file_sha256(head),
        file_sha256(model / "model.safetensors"),
    )
    random = planned("hf:owner/name", "hsnet", random_weights=True)
    assert planned_run(random).folds[0].weights.hub[0].revision == COMMIT
    with pytest.raises(MissingError, match="no checkpoint is registered for hsnet"):
        planned("hf:owner/name", "hsnet")


def test_a_checkpoint_of_another_backbone_is_refused(model: Path, tmp_path: Path) -> None:
    head = tmp_path / "head.safetensors"
    for key, value in (("backbone_sha256", "e" * 64), ("backbone_layers", "1,2,3")):
        note = {"network": "hsnet", "backbone": "hf:other/model", key: value}
        header = json.dumps(
            {"__metadata__": note, "a": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}}
        ).encode()
        head.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
        with pytest.raises(CheckpointError, match="was trained on another backbone") as caught:
            planned("hf:owner/name", "hsnet", checkpoint=str(head))
        assert caught.value.remedy == "--backbone hf:other/model"


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("pfenet", {}, "pfenet has no backbone 'hf:owner/name'"),
        ("prototype", {"random_weights": True}, "names the weights of the backbone, and prototype has no others"),
        ("prototype", {"checkpoint": "x.pt"}, "names the weights of the backbone, and prototype has no others"),
        ("hsnet", {"checkpoint": "x.pt", "backbone_weights": "y.pt"}, "and --backbone-weights others"),
    ],
)
def test_options_that_exclude_a_hub_backbone(model: Path, method: str, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        planned("hf:owner/name", method, **options)


def test_damaged_weights_are_refused_before_torch(model: Path, hub_cache: Path) -> None:
    path = model / "model.safetensors"
    path.write_bytes(safetensors()[:-1])
    with pytest.raises(BrokenFileError, match="cut short") as caught:
        planned("hf:owner/name")
    assert caught.value.remedy == f"hf download --force-download owner/name --revision {COMMIT}"
    for content, message in ((b"", "is empty"), (b"PK\3\4", "cut short or damaged"), (b"\x80\2x", "a Python pickle")):
        path.write_bytes(content)
        with pytest.raises(BrokenFileError, match=message):
            planned("hf:owner/name")
    blob = hub_cache / "models--owner--name" / "blobs" / ("ab" * 32)
    blob.parent.mkdir()
    blob.write_bytes(safetensors())
    path.unlink()
    path.symlink_to(blob)
    with pytest.raises(BrokenFileError, match=r"is damaged: its sha256 is .*, not abababababab"):
        planned("hf:owner/name")


def test_planning_does_not_import_torch(model: Path) -> None:
    code = (
        "import sys; from fssbench.planning.plan import plan; from fssbench.planning.request import Request; "
        "plan(Request('prototype', 'shapes20i', backbone='hf:owner/name', episodes='5', fold='0')); "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_licence_that_is_known_later_changes_nothing(model: Path) -> None:
    run = planned_run(planned("hf:owner/name"))
    (fold,) = run.folds
    (recorded,) = fold.weights.hub
    licensed = replace(
        run, folds=(replace(fold, weights=replace(fold.weights, hub=(replace(recorded, licence="mit"),))),)
    )
    assert first_difference(run, licensed) is None, "a model card that came later changes no number"
