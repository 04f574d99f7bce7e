"""All hosts of releases, on this machine: no test of checkpoints reaches the network."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pytest
import requests
import torch
from gdown import download as gdown_download

from fssbench.downloads import drive, resumable
from tests.downloads.host import Host, serving


def weights(number: float = 0.0, size: int = 30_000) -> bytes:
    """Return what torch.save writes."""
    file = io.BytesIO()
    torch.save({"a": torch.full((size,), number)}, file)
    return file.getvalue()


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host that stands for all: what it has under /HOST/PATH is at https://HOST/PATH."""
    monkeypatch.setattr(resumable, "PAUSE", 0.001)
    monkeypatch.setenv("NO_PROXY", "*")
    drive._listing.cache_clear()
    send: Callable[..., requests.Response] = requests.adapters.HTTPAdapter.send

    with serving() as host:

        def rewritten(
            adapter: requests.adapters.HTTPAdapter, request: requests.PreparedRequest, **options: object
        ) -> requests.Response:
            url = request.url or ""
            if not url.startswith(host.address):
                request.url = f"{host.address}/{url.partition('://')[2]}"
            response = send(adapter, request, **options)
            response.url = request.url = url
            return response

        monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", rewritten)
        yield host
    drive._listing.cache_clear()


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Further attempts of gdown come at once."""
    monkeypatch.setattr(gdown_download.__globals__["random"], "uniform", lambda *_: 0.0)
