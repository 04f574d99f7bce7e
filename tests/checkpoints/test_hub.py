"""Registered models of the hub: found, fetched and recorded with their commit, hash and precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from fssbench.checkpoints import fetch, file_sha256, find, locate, record, records
from fssbench.checkpoints.fetching import present
from fssbench.checkpoints.registry import Record
from fssbench.errors import BrokenFileError, MissingError
from fssbench.planning.weights import joined_source, registered_source
from tests.hub.conftest import COMMIT, hub_cache, hub_error, stored

__all__ = ["hub_cache", "hub_error", "stored"]

NAMES = ("dinov3-vits16", "dinov3-vitb16", "dinov3-vitl16", "dinov2-vitl14", "sam-vith", "seggpt-vitl")


def test_the_networks_of_training_free_methods_are_registered_with_their_hub_name() -> None:
    for name in NAMES:
        entry = record(name)
        assert (entry.kind, entry.backbone) == ("backbone", name)
        assert entry.hub.count("/") == 1
        assert entry.licence
        assert entry.gated is name.startswith("dinov3")
    assert {entry.hub for entry in records() if entry.backbone == "sam-vith"} == {"facebook/sam-vit-huge"}


def test_a_record_has_one_place() -> None:
    for places in ({}, {"hub": "a/b", "url": "https://x"}, {"hub": "a/b", "path": "x"}):
        with pytest.raises(ValueError, match="a url or a path"):
            Record(id="x", kind="backbone", backbone="x", **places)
    for wrong in ({"hub": "ab"}, {"hub": "a/b", "filename": "../x.safetensors"}, {"hub": "a/b", "filename": "x.bin"}):
        with pytest.raises(ValueError, match="pattern"):
            Record(id="x", kind="backbone", backbone="x", **wrong)


def test_a_file_in_the_hub_cache_is_used_without_a_download(stored: Callable[..., Path]) -> None:
    entry = record("dinov2-vitl14")
    assert not present(entry)
    content = save({"a": torch.zeros(2), "b": torch.zeros(2, dtype=torch.float16), "n": torch.zeros(1).long()})
    path = stored("facebook/dinov2-large", {"model.safetensors": content}) / "model.safetensors"
    assert present(entry)
    assert locate(entry) == (path,)
    assert fetch(entry) == path
    source = registered_source(entry)
    assert source.hashes == (file_sha256(path),)
    (model,) = source.record.hub
    assert (model.repository, model.revision) == ("facebook/dinov2-large", COMMIT)
    assert (model.sha256, model.precision, model.licence) == (source.hashes[0], "float16 and float32", "Apache-2.0")


def test_joined_networks_have_a_file_each(stored: Callable[..., Path]) -> None:
    entries = [record("dinov2-vitl14"), record("sam-vith")]
    for number, entry in enumerate(entries):
        stored(entry.hub, {"model.safetensors": save({"a": torch.full((2,), float(number))})})
    source = joined_source(entries)
    written = source.record
    assert source.checkpoint == "dinov2-vitl14+sam-vith"
    assert len(source.paths) == 2
    assert (written.sha256, written.backbone_sha256) == source.hashes
    assert written.sha256 != written.backbone_sha256
    assert [model.repository for model in written.hub] == ["facebook/dinov2-large", "facebook/sam-vit-huge"]


def test_another_revision_is_another_run(stored: Callable[..., Path]) -> None:
    from fssbench.results.differences import _difference

    stored("facebook/dinov2-large", {"model.safetensors": save({"a": torch.zeros(2)})})
    written = registered_source(record("dinov2-vitl14")).record
    (model,) = written.hub
    found = _difference(written, replace(written, hub=(replace(model, revision="f" * 40),)), "weights")
    assert found is not None
    assert (found.stored, found.requested) == (COMMIT, "f" * 40)
    assert _difference(written, replace(written, hub=(replace(model, licence="other"),)), "weights") is None
    assert _difference(written, replace(written, hub=()), "weights") is not None


def test_a_model_that_is_not_here_says_what_to_do(hub_cache: Path, hub_error: Any) -> None:
    with pytest.raises(MissingError, match="not in the cache of the Hugging Face hub yet") as caught:
        locate(find("prototype", None, "dinov3-vitl16", "pascal5i", 0))
    assert caught.value.remedy == (
        "accept the terms at https://huggingface.co/facebook/dinov3-vitl16-pretrain-lvd1689m and hf auth login, "
        "then fssbench checkpoints fetch dinov3-vitl16"
    )
    hub_error("GatedRepoError", 403)
    with pytest.raises(MissingError, match="is gated"):
        fetch(record("dinov3-vitl16"))
    hub_error("LocalEntryNotFoundError")
    with pytest.raises(MissingError, match="can't be reached") as caught:
        fetch(record("sam-vith"))
    assert "fssbench checkpoints add FILE --id sam-vith" in (caught.value.remedy or "")


def test_a_damaged_file_in_the_hub_cache_is_refused(stored: Callable[..., Path]) -> None:
    entry = record("dinov2-vitl14")
    stored(entry.hub, {"model.safetensors": save({"a": torch.zeros(20)})[:-8]})
    with pytest.raises(BrokenFileError, match="cut short") as caught:
        fetch(entry)
    assert caught.value.remedy == "hf download --force-download facebook/dinov2-large model.safetensors"
