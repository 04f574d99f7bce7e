"""VAT's fast form: its layers against those of the method, which compute whole volumes with masks and shifts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fssbench.backbones.windows import Block
from fssbench.fast import pooled
from fssbench.fast.correlation import keep_positions, unit_maps
from fssbench.fast.pooled import embed
from fssbench.fast.squeeze import grid_of
from fssbench.fast.windows import TiledBlocks
from fssbench.layers import devices
from fssbench.layers.hypercorrelation import correlate
from fssbench.layers.masks import resize_mask
from fssbench.methods.vat import VolumeEmbedding

STRIDES = {
    "deep": ((2, 1), (1, 2)),
    "shallow": ((2, 2), (1, 2), (1, 2)),
}


def _random(module: nn.Module) -> None:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)


def _mask(kind: str) -> Tensor:
    mask = torch.zeros(1, 16, 16)
    if kind == "full":
        mask[:] = 1
    elif kind == "middle":
        mask[:, 5:9, 6:8] = 1
    elif kind == "two":
        mask[:, :3, 1:4] = 1
        mask[:, 13:, 9:] = 1
    return mask


@pytest.mark.parametrize("level", STRIDES)
@pytest.mark.parametrize("kind", ["full", "empty", "middle", "two"])
@torch.inference_mode()
def test_a_volume_is_embedded_as_if_all_of_it_were_there(
    level: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    strides = STRIDES[level]
    embedding = VolumeEmbedding((2, *(4,) * len(strides)), strides, (2,) * len(strides))
    _random(embedding)
    query, support = ([torch.randn(1, 5, *size) for _ in range(2)] for size in ((8, 12), (16, 16)))
    mask = _mask(kind)
    masked = [feature * resize_mask(mask, feature) for feature in support]
    volume = torch.stack([correlate(*pair) for pair in zip(query, masked, strict=True)], dim=1)
    expected = embedding(volume)[0].permute(3, 4, 1, 2, 0)

    kept = keep_positions(support, mask)
    maps, units = [one[0] for one in unit_maps(query).units], [one[0] for one in kept.units]
    for together in (256, 1):
        monkeypatch.setattr(pooled, "_TOGETHER", together)
        rows = embed(embedding, maps, units, grid_of(kept.places[0][0], kept.sizes[0]))
        found = rows.images[[row for line in rows.grid for row in line]]
        torch.testing.assert_close(found.view(expected.shape), expected, atol=2e-5, rtol=1e-4)
    assert level == "shallow" or (len(rows.images) < len(found)) == (kind != "full")


@pytest.mark.parametrize("sides", [(8, 8), (4, 12), (8, 4, 12, 8), (8, 8, 8, 8)])
@torch.inference_mode()
def test_tiles_give_what_shifted_windows_with_masks_give(
    sides: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    blocks = nn.Sequential(*(Block(8, 2, 4, shifts=shifts, axes=len(sides)) for shifts in (False, True)))
    _random(blocks)
    x = torch.randn(2, *sides, 8)
    before, expected = x.clone(), blocks(x)
    tiled = TiledBlocks(blocks, sides)
    torch.testing.assert_close(tiled(x), expected, atol=2e-5, rtol=1e-4)
    assert torch.equal(x, before)
    axes = range(1 + len(sides) // 2, 1 + len(sides))
    torch.testing.assert_close(tiled.mean(x[0].clone()), expected.mean(dim=tuple(axes))[0], atol=2e-5, rtol=1e-4)
    monkeypatch.setattr(devices, "SERIAL_ON", frozenset())
    assert torch.equal(tiled(x), expected)
