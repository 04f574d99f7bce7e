"""The Swin transformer: windows, shifts and sizes; its maps are held against a release by DCAMA's golden case."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fssbench.backbones.swin import Swin
from fssbench.backbones.windows import Block, from_windows, into_windows, relative_positions, window_mask
from fssbench.errors import UsageError

WINDOW = 3


def _tiny() -> Swin:
    torch.manual_seed(0)
    return Swin(16, (1, 2, 3, 1), (2, 2, 4, 4), WINDOW).eval()


@torch.no_grad()
def test_the_pyramid_has_a_map_for_each_block_and_a_finer_one() -> None:
    network, side = _tiny(), 32 * WINDOW
    finer, maps = network.with_finer(torch.randn(2, 3, side, 2 * side))
    assert finer.shape == (2, network.finer_channels, side // 4, side // 2)
    sides = [side // 8] * 2 + [side // 16] * 3 + [side // 32]
    assert [tuple(one.shape) for one in maps] == [
        (2, channels, rows, 2 * rows) for channels, rows in zip(network.channels, sides, strict=True)
    ]
    assert len(maps) == sum(network.levels)


def test_images_whose_maps_windows_do_not_tile_are_refused() -> None:
    with pytest.raises(UsageError, match="multiples of 96, not 96 x 100"):
        _tiny()(torch.zeros(1, 3, 96, 100))


@torch.no_grad()
def _reached(block: Block, side: int, row: int, column: int) -> Tensor:
    """Return which positions change when one is changed, bool (side, side)."""
    before, other = torch.randn(2, 1, side, side, 8, generator=torch.Generator().manual_seed(1))
    after = before.clone()
    after[0, row, column] = other[0, row, column]
    return (block(after) != block(before)).any(dim=-1)[0]


def _block(*, shifts: bool) -> Block:
    torch.manual_seed(0)
    return Block(8, 2, WINDOW, shifts=shifts)


def _rectangle(rows: slice, columns: slice, side: int = 3 * WINDOW) -> Tensor:
    inside = torch.zeros(side, side, dtype=torch.bool)
    inside[rows, columns] = True
    return inside


def test_a_position_reaches_its_window() -> None:
    assert torch.equal(_reached(_block(shifts=False), 9, 4, 7), _rectangle(slice(3, 6), slice(6, 9)))


def test_a_shifted_window_ends_at_the_border_of_the_map() -> None:
    # Windows begin at 1, 4 and 7; those at the borders are cut there and do not see the other side.
    shifted = _block(shifts=True)
    assert torch.equal(_reached(shifted, 9, 4, 8), _rectangle(slice(4, 7), slice(7, 9)))
    assert torch.equal(_reached(shifted, 9, 0, 0), _rectangle(slice(0, 1), slice(0, 1)))


def test_a_map_of_one_window_is_not_shifted() -> None:
    assert _reached(_block(shifts=True), WINDOW, 0, 0).all()


def test_pairs_at_the_same_offset_share_a_bias() -> None:
    index = relative_positions(WINDOW)
    assert index[0, 4] == index[4, 8]  # one down, one to the right
    assert index[0, 1] != index[1, 0]
    assert index.unique().tolist() == list(range((2 * WINDOW - 1) ** 2))


def test_the_mask_of_shifted_windows_has_the_release_s_parts() -> None:
    mask = window_mask((6, 6), 3, 1)
    assert mask.shape == (4, 9, 9)
    assert (mask[0] == 0).all()
    # The last window has parts of 4, 2, 2 and 1 positions.
    assert int((mask[3] == 0).sum()) == 4 * 4 + 2 * 2 + 2 * 2 + 1


@torch.no_grad()
def test_maps_of_four_axes_have_windows_of_four_axes() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 6, 2, 4, 8)
    windows = into_windows(x, 2)
    assert windows.shape == (2, 2 * 3 * 1 * 2, 16, 8)
    assert torch.equal(windows[0, 1], x[0, :2, :2, :, 2:].reshape(16, 8))
    assert torch.equal(from_windows(windows, (4, 6, 2, 4), 2), x)
    block = Block(8, 2, 2, shifts=True, axes=4)
    other = x[:, :, :, [0, 1] * 2]
    changed = other.clone()
    changed[0, 0, 0, 0, 0] += torch.randn(8)
    differs = (block(changed) != block(other)).any(dim=-1)[0]
    # All four axes are shifted: a corner of the map is a window of its own.
    assert differs.nonzero().tolist() == [[0, 0, 0, 0]]


def test_the_index_of_four_axes_counts_in_rows_of_seven() -> None:
    index = relative_positions(4, 4)
    assert index.shape == (256, 256)
    assert index[0, 0] == 3 * (7**3 + 7**2 + 7 + 1)
    assert index[64, 0] - index[0, 0] == 7**3
