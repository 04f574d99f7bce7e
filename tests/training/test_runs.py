"""Whole runs, a few steps long: what is learnt, from what, and what is left after a kill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import fssbench
from fssbench.episode.episode import Episode
from fssbench.errors import BrokenFileError, CheckpointError, UsageError
from fssbench.methods.base.method import TrainingBatch
from fssbench.training.batches import TrainingImages
from fssbench.training.draws import EpisodeSampler
from fssbench.training.run import run_plan
from fssbench.training.state import Step
from tests.training.tiny import SIDE, Squares, tiny_plan, tiny_recipe

NETWORKS = ["small", "hsnet", "asnet"]


class Killed(BaseException):
    """Stands for a kill between two steps."""


def _run(network: str, folder: Path, weights: Path, **changes: object) -> dict[str, torch.Tensor]:
    backbone = None if network == "small" else weights
    return load_file(run_plan(tiny_plan(network, folder, weights=backbone, **changes)))  # type: ignore[arg-type]


def _equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("name", ["hsnet", "asnet"])
def test_gradients_reach_the_head_and_not_the_backbone(name: str) -> None:
    torch.manual_seed(0)
    method = fssbench.build(name, backbone="small", channels=tiny_recipe(name).options["channels"]).train()
    mask = torch.zeros(2, 1, SIDE, SIDE, dtype=torch.uint8)
    mask[:, :, 30:100, 30:100] = 1
    images = torch.randn(4, 3, SIDE, SIDE)
    places, labels = torch.zeros(2, 1, dtype=torch.int64), torch.zeros(2, SIDE, SIDE, dtype=torch.uint8)
    batch = TrainingBatch(images[:2], mask, images[2:, None, None], mask[:, :, None], places, labels)
    statistics = method.backbone.stem[1].running_mean.clone()
    torch.stack(list(method.losses(batch).values())).sum().backward()
    for key, parameter in method.named_parameters():
        if key.startswith("backbone."):
            assert parameter.grad is None, key
        else:
            assert parameter.grad is not None, key
    assert torch.equal(method.backbone.stem[1].running_mean, statistics)


@pytest.mark.parametrize("network", ["small", "hsnet"])
def test_one_seed_gives_the_same_weights_and_another_seed_others(
    network: str, tmp_path: Path, backbone_weights: Path
) -> None:
    first = _run(network, tmp_path / "a", backbone_weights)
    assert _equal(first, _run(network, tmp_path / "b", backbone_weights))
    assert not _equal(first, _run(network, tmp_path / "c", backbone_weights, seed=1))


@pytest.mark.parametrize("network", NETWORKS)
def test_a_killed_run_ends_as_if_it_had_not_been(
    network: str, tmp_path: Path, backbone_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _run(network, tmp_path / "whole", backbone_weights, steps=5)
    monkeypatch.setattr("fssbench.training.loop.SAVE_EVERY", 2)
    backbone = None if network == "small" else backbone_weights
    plan = tiny_plan(network, tmp_path / "killed", weights=backbone, steps=5)

    def kill(stage: str, steps: int, done: Step) -> None:
        if done.step == 3:
            raise Killed

    with pytest.raises(Killed):
        run_plan(plan, kill)
    seen: list[int] = []
    file = run_plan(replace(plan, resume=True), lambda stage, steps, done: seen.append(done.step))
    assert seen == [3, 4, 5], "the state after step 2 is what the run goes on from"
    assert _equal(load_file(file), whole)
    assert (tmp_path / "killed" / "log.csv").read_text() == (tmp_path / "whole" / "log.csv").read_text()


def test_a_log_that_a_killed_command_did_not_write_is_written(tmp_path: Path) -> None:
    plan = tiny_plan("small", tmp_path)
    run_plan(plan)
    log = (tmp_path / "log.csv").read_text()
    for left in (".log.csv.0123abcd", ".state.pt.0123abcd"):
        (tmp_path / left).write_bytes(b"half")
    (tmp_path / "log.csv").write_text(log[: log.rindex("3,")])
    run_plan(replace(plan, resume=True))
    assert (tmp_path / "log.csv").read_text() == log
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "state.pt", "weights.safetensors"]


def test_the_log_has_a_row_per_step(tmp_path: Path, backbone_weights: Path) -> None:
    seen: list[Step] = []
    run_plan(tiny_plan("hsnet", tmp_path, weights=backbone_weights), lambda stage, steps, done: seen.append(done))
    log = pd.read_csv(tmp_path / "log.csv")
    assert list(log.columns)[:4] == ["step", "learning_rate", "loss", "validation"]
    assert list(log["step"]) == [1, 2, 3]
    assert list(log["loss"]) == pytest.approx([step.loss for step in seen], abs=1e-6)
    assert list(log["learning_rate"]) == pytest.approx([step.learning_rate for step in seen], rel=1e-5)
    assert list(log[list(log.columns)[4:]].sum(axis=1)) == pytest.approx(list(log["loss"]), abs=1e-5)
    assert log["validation"].isna().all()


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize("network", ["small", "hsnet"])
def test_novel_classes_are_never_seen(
    network: str, fold: int, tmp_path: Path, backbone_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Episode] = []
    read: list[torch.Tensor] = []
    draw, batch = EpisodeSampler.draw, TrainingImages.batch

    def spying_draw(
        self: EpisodeSampler, rng: np.random.Generator, count: int, query_weight: float = 0.5
    ) -> list[Episode]:
        episodes = draw(self, rng, count, query_weight)
        drawn.extend(episodes)
        return episodes

    def spying_batch(self: TrainingImages, names: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = batch(self, names)
        read.append(labels)
        return images, labels

    monkeypatch.setattr(EpisodeSampler, "draw", spying_draw)
    monkeypatch.setattr(TrainingImages, "batch", spying_batch)
    _run(network, tmp_path, backbone_weights, fold=fold, steps=6)

    novel = set(Squares().fold_classes(fold))
    assert {class_id for episode in drawn for class_id in episode.classes} == {1, 2, 3, 4} - novel
    assert all(episode.query not in episode.supports[0] for episode in drawn)
    assert len(read) == 6
    assert not novel & set(torch.cat(read).unique().tolist())


def test_the_lists_of_the_embedded_data_set_hold_no_novel_pixel() -> None:
    dataset = fssbench.open_dataset("shapes20i")
    for fold in range(dataset.fold_count):
        novel = set(dataset.fold_classes(fold))
        sampler = EpisodeSampler.of_fold(dataset, fold, seed=0)
        assert not novel & set(sampler.lists)
        drawn = sampler.draw(sampler.generator(0), 12)
        assert not any(set(episode.classes) & novel for episode in drawn)
        for name in {name for episode in drawn for name in (episode.query, *episode.supports[0])}:
            assert not novel & set(dataset.label(name).ravel().tolist()), name


def test_the_weights_say_what_they_are(tmp_path: Path, backbone_weights: Path) -> None:
    file = run_plan(tiny_plan("hsnet", tmp_path, weights=backbone_weights, fold=1, seed=4))
    with safe_open(file, "pt") as opened:
        note = opened.metadata()
    expected = {"network": "hsnet", "backbone": "small", "dataset": "squares", "fold": "1", "seed": "4", "steps": "3"}
    assert expected.items() <= note.items()


def test_a_state_of_another_run_is_refused(tmp_path: Path, backbone_weights: Path) -> None:
    plan = tiny_plan("hsnet", tmp_path, weights=backbone_weights)
    run_plan(plan)
    with pytest.raises(CheckpointError, match="another training, which differs in seed"):
        run_plan(replace(plan, seed=5, resume=True))


def test_a_state_of_an_older_version_resumes(tmp_path: Path, backbone_weights: Path) -> None:
    plan = tiny_plan("hsnet", tmp_path, weights=backbone_weights)
    weights = load_file(run_plan(plan))
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    # Before `augmented`, `other_classes` and the optimiser's `bias_rate` there was no choice: they had their defaults.
    for newer in ("augmented='every picture', ", "other_classes='background', ", ", bias_rate=1.0"):
        assert newer in state["run"]["recipe"]
        state["run"]["recipe"] = state["run"]["recipe"].replace(newer, "")
    torch.save(state, tmp_path / "state.pt")
    assert _equal(load_file(run_plan(replace(plan, resume=True))), weights)
    (recipe,) = plan.recipes.values()
    other = replace(plan, resume=True, recipes={"": replace(recipe, augmented="supports")})
    with pytest.raises(CheckpointError, match="another training, which differs in recipe"):
        run_plan(other)


def test_the_folder_of_another_method_is_left_alone(tmp_path: Path, backbone_weights: Path) -> None:
    # A method with other stages has other state files, and would start a new training next to them.
    (tmp_path / "state-base.pt").write_bytes(b"of bam's first stage")
    (tmp_path / "weights.safetensors").write_bytes(b"bam's")
    with pytest.raises(CheckpointError, match=r"holds state-base\.pt, the training state of another method"):
        run_plan(tiny_plan("hsnet", tmp_path, weights=backbone_weights, resume=True))
    assert (tmp_path / "weights.safetensors").read_bytes() == b"bam's"


def test_a_recipe_of_no_stage_is_refused(tmp_path: Path, backbone_weights: Path) -> None:
    plan = tiny_plan("hsnet", tmp_path, weights=backbone_weights)
    with pytest.raises(UsageError, match="hsnet has no stage 'bsae'"):
        run_plan(replace(plan, recipes={**plan.recipes, "bsae": plan.recipes[""]}))


def test_a_broken_state_is_refused(tmp_path: Path, backbone_weights: Path) -> None:
    (tmp_path / "state.pt").write_bytes(b"not a state")
    plan = tiny_plan("hsnet", tmp_path, weights=backbone_weights, resume=True)
    with pytest.raises(BrokenFileError, match=r"state\.pt"):
        run_plan(plan)


def test_a_state_with_a_changed_byte_is_refused(tmp_path: Path, backbone_weights: Path) -> None:
    plan = tiny_plan("hsnet", tmp_path, weights=backbone_weights, steps=2)
    run_plan(plan)
    content = bytearray((tmp_path / "state.pt").read_bytes())
    weights = next(iter(torch.load(tmp_path / "state.pt", weights_only=True)["module"].values()))
    content[content.find(weights.numpy().tobytes())] ^= 1
    (tmp_path / "state.pt").write_bytes(content)
    with pytest.raises(BrokenFileError, match=r"state\.pt is not a readable training state"):
        run_plan(replace(plan, resume=True))


def test_weights_of_another_backbone_are_refused(tmp_path: Path, backbone_weights: Path) -> None:
    state = load_file(backbone_weights)
    state.pop("layer3.0.conv1.weight")
    other = tmp_path / "other.pt"
    torch.save(state, other)
    with pytest.raises(CheckpointError, match=r"layer3\.0\.conv1\.weight"):
        run_plan(tiny_plan("hsnet", tmp_path / "run", weights=other))
    other.write_bytes(b"<html>")
    with pytest.raises(BrokenFileError, match=r"other\.pt"):
        run_plan(tiny_plan("hsnet", tmp_path / "run", weights=other))


def test_a_device_that_is_not_there(tmp_path: Path, backbone_weights: Path) -> None:
    with pytest.raises(UsageError, match="cuda:99"):
        run_plan(tiny_plan("hsnet", tmp_path, weights=backbone_weights, device="cuda:99"))
