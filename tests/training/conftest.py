"""Weights of an untrained small backbone: enough for what surrounds learning."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fssbench.backbones import backbone


@pytest.fixture(scope="session")
def backbone_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("backbone") / "small.safetensors"
    save_file(backbone("small").state_dict(), path)
    return path
