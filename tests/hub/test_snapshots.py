"""Files of the hub: found in its cache without a network, and what each of its errors means."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fssbench.errors import MissingError, UsageError
from fssbench.hub.snapshots import cached, downloaded
from tests.hub.conftest import COMMIT

OTHER = "f" * 40


def test_a_snapshot_in_the_cache_is_found_by_branch_and_by_commit(stored: Callable[..., Path]) -> None:
    folder = stored("owner/name", {"config.json": b"{}"})
    stored("owner/name", {"config.json": b"[]"}, OTHER, "v2")
    for revision, commit in (("", COMMIT), ("main", COMMIT), (COMMIT, COMMIT), ("v2", OTHER), (OTHER, OTHER)):
        found = cached("owner/name", revision, ["config.json"])
        assert found is not None
        assert (found.repository, found.revision) == ("owner/name", commit)
        assert (found.folder == folder) is (commit == COMMIT)


def test_what_is_not_complete_in_the_cache_is_not_found(stored: Callable[..., Path]) -> None:
    assert cached("owner/name", "", ["config.json"]) is None
    stored("owner/name", {"config.json": b"{}"})
    assert cached("owner/name", "", ["config.json", "model.safetensors"]) is None
    assert cached("owner/name", "v9", ["config.json"]) is None


def test_no_network_says_where_the_files_were_sought(hub_cache: Path, hub_error: Any) -> None:
    hub_error("LocalEntryNotFoundError")
    with pytest.raises(MissingError, match=re.escape(f"owner/name is not complete in the hub's cache ({hub_cache})")):
        downloaded("owner/name", "")
    hub_error("OfflineModeIsEnabled")
    with pytest.raises(MissingError, match="HF_HUB_OFFLINE forbids a download"):
        downloaded("owner/name", "")


@pytest.mark.parametrize(
    ("name", "status", "message", "remedy"),
    [
        ("GatedRepoError", 403, "is gated", "accept them at https://huggingface.co/o/n, then hf auth login"),
        ("RepositoryNotFoundError", 404, "has no model o/n, or it is private", "check the name"),
        ("RevisionNotFoundError", 404, "o/n has no revision v9", "https://huggingface.co/o/n/commits/main"),
        ("HfHubHTTPError", 503, "the hub says 503", "try again later"),
    ],
)
def test_each_refusal_of_the_hub_has_its_sentence(
    hub_cache: Path, hub_error: Any, name: str, status: int, message: str, remedy: str
) -> None:
    hub_error(name, status)
    with pytest.raises(MissingError, match=message) as caught:
        downloaded("o/n", "v9")
    assert remedy in (caught.value.remedy or "")


@pytest.mark.parametrize("name", ["a/b/c", "a//b", "../b", "-a/b", "a b"])
def test_a_name_that_the_hub_can_not_have_is_refused(hub_cache: Path, name: str) -> None:
    for find in (lambda: cached(name, "", ["config.json"]), lambda: downloaded(name, "")):
        with pytest.raises(UsageError, match="can't be the name of a model"):
            find()
