"""A hub's cache as huggingface_hub lays it out, and its errors, without a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an empty cache, and no network."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "hub"


@pytest.fixture
def stored(hub_cache: Path) -> Callable[..., Path]:
    """Stores files of a model in the cache and returns the folder of the snapshot."""

    def store(
        repository: str, files: Mapping[str, bytes], commit: str = COMMIT, reference: str | None = "main"
    ) -> Path:
        place = hub_cache / f"models--{repository.replace('/', '--')}"
        folder = place / "snapshots" / commit
        for name, content in files.items():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        if reference is not None:
            (place / "refs").mkdir(parents=True, exist_ok=True)
            (place / "refs" / reference).write_text(commit)
        return folder

    return store


@pytest.fixture
def hub_error(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Lets every download end in an error of huggingface_hub, by the name of its class and its HTTP status."""
    import huggingface_hub
    import huggingface_hub.errors

    def fail(name: str, status: int = 0) -> None:
        class Response:
            status_code = status
            headers: Mapping[str, str] = {}
            request = None

        kind = getattr(huggingface_hub.errors, name)

        def raising(*_: object, local_files_only: bool = False, **__: Any) -> str:
            if local_files_only:
                raise huggingface_hub.errors.LocalEntryNotFoundError("nothing in the cache")
            raise kind("refused", response=Response()) if status else kind("refused")

        monkeypatch.setattr(huggingface_hub, "snapshot_download", raising)

    return fail
