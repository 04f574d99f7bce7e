"""The memory bank's equations, on numbers small enough to reckon by hand."""

from __future__ import annotations

import math

import pytest
import torch

from fssbench.layers.style_memory import StyleMemory, restyled, style


def _memory(
    means: list[list[float]], deviations: list[list[float]], momentum: float = 0.9, mix: float = 0.5
) -> StyleMemory:
    memory = StyleMemory(len(means), len(means[0]), momentum, mix)
    with torch.no_grad():
        memory.means.copy_(torch.tensor(means))
        memory.deviations.copy_(torch.tensor(deviations))
    memory.written.fill_(len(means))
    return memory


def test_a_style_is_mean_and_standard_deviation_of_each_channel() -> None:
    mean, deviation = style(torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]]]))
    torch.testing.assert_close(mean, torch.tensor([[2.0, 5.0]]))
    torch.testing.assert_close(deviation, torch.tensor([[math.sqrt(1 + 1e-5), math.sqrt(1e-5)]]))


def test_a_map_can_be_given_another_style() -> None:
    features = torch.randn(2, 3, 5, 7)
    mean, deviation = torch.randn(2, 3), torch.rand(2, 3) + 0.5
    found_mean, found_deviation = style(restyled(features, mean, deviation))
    torch.testing.assert_close(found_mean, mean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found_deviation, deviation, atol=1e-4, rtol=1e-4)


def test_the_first_instances_fill_the_bank() -> None:
    memory = StyleMemory(3, 2, momentum=0.5, mix=0.5)
    first, second = torch.tensor([[1.0, 0.0], [2.0, 1.0]]), torch.tensor([[3.0, 2.0], [4.0, 3.0]])
    memory.write(first, first + 1)
    assert int(memory.written) == 2
    assert torch.equal(memory.means[:2], first)
    # What is not yet written is not recalled.
    torch.testing.assert_close(memory.recall(first[:1], first[:1] + 1)[0].sum(), first.sum(dim=1) @ _shares(first))
    memory.write(second, second + 1)
    assert int(memory.written) == 3
    assert torch.equal(memory.means, torch.cat([first, second[:1]]))
    assert torch.equal(memory.deviations, memory.means + 1)


def _shares(items: torch.Tensor) -> torch.Tensor:
    """The recall weights of items for the first of them."""
    units = items / items.norm(dim=1, keepdim=True)
    return (10 * units @ units[0]).softmax(dim=0)


def test_the_update_is_that_of_the_paper() -> None:
    # m_1 is along the first instance and at a right angle to the second: cosines 1 and 0 at temperature 0.1.
    memory = _memory([[2.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]], momentum=0.75)
    memory.write(torch.tensor([[4.0, 0.0], [0.0, 8.0]]), torch.tensor([[1.0, 3.0], [3.0, 1.0]]))
    own = 1 / (1 + math.exp(-10))
    torch.testing.assert_close(
        memory.means.detach(),
        torch.tensor(
            [
                [0.75 * 2 + 0.25 * 4 * own, 0.25 * 8 * (1 - own)],
                [0.25 * 4 * (1 - own), 0.75 * 2 + 0.25 * 8 * own],
            ]
        ),
    )
    # Both instances are equally like the items of deviations: s_E is a half.
    torch.testing.assert_close(memory.deviations.detach(), torch.full((2, 2), 0.75 + 0.25 * 2))


def test_recall_weighs_the_items_by_their_similarity() -> None:
    memory = _memory([[2.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [0.0, -1.0]])
    mean, deviation = memory.recall(torch.tensor([[5.0, 0.0]]), torch.tensor([[1.0, -1.0]]))
    own = 1 / (1 + math.exp(-10))
    torch.testing.assert_close(mean, torch.tensor([[2 * own, 2 * (1 - own)]]))
    torch.testing.assert_close(deviation, torch.tensor([[0.5, 0.0]]))  # a deviation is not below 0
    assert not mean.requires_grad


def test_orthogonality_is_that_of_the_paper() -> None:
    assert _memory([[1.0, 0.0], [0.0, 3.0]], [[0.0, 2.0], [1.0, 0.0]]).orthogonality().item() == 0
    # h_M: |cos| = 1 twice; h_E: cos 45 degrees twice; over 2 * 2^2.
    memory = _memory([[1.0, 0.0], [-3.0, 0.0]], [[1.0, 0.0], [1.0, 1.0]])
    assert memory.orthogonality().item() == pytest.approx((2 + 2 * math.sqrt(0.5)) / 8)


def test_orthogonality_turns_the_items_away_from_each_other() -> None:
    memory = _memory([[1.0, 0.2], [0.2, 1.0]], [[1.0, 0.2], [0.2, 1.0]])
    before = memory.orthogonality()
    before.backward()
    with torch.no_grad():
        for kept in memory.parameters():
            kept -= 0.1 * kept.grad
    assert memory.orthogonality() < before


def test_enhancement_keeps_the_part_alpha_of_an_instances_own_style() -> None:
    features = torch.randn(2, 2, 6, 4) * 3 + 1
    kept = _memory([[1.0, 2.0]], [[3.0, 4.0]], mix=1.0).enhance(features)
    torch.testing.assert_close(kept, features, atol=1e-5, rtol=1e-5)
    mean, deviation = style(features)
    mixed = style(_memory([[1.0, 2.0]], [[3.0, 4.0]], mix=0.25).enhance(features))
    torch.testing.assert_close(mixed[0], 0.25 * mean + 0.75 * torch.tensor([1.0, 2.0]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(mixed[1], 0.25 * deviation + 0.75 * torch.tensor([3.0, 4.0]), atol=1e-4, rtol=1e-4)


def test_enhancement_brings_a_shifted_style_nearer_to_the_source() -> None:
    generator = torch.Generator().manual_seed(0)
    strength = torch.rand(8, generator=generator)[None, :, None, None] + 0.5
    source = [torch.rand(4, 8, 6, 6, generator=generator) * strength for _ in range(40)]
    memory = StyleMemory(4, 8, momentum=0.9, mix=0.5)
    for batch in source:
        memory.write(*style(batch))
    shifted = source[0] * torch.linspace(0.3, 2.0, 8)[None, :, None, None] + torch.linspace(1.0, -0.2, 8)[:, None, None]
    centre = torch.cat(style(torch.cat(source)), dim=1).mean(dim=0)
    before = (torch.cat(style(shifted), dim=1) - centre).norm(dim=1)
    after = (torch.cat(style(memory.enhance(shifted)), dim=1) - centre).norm(dim=1)
    assert bool((after < 0.7 * before).all())


def test_an_instance_is_enhanced_without_regard_to_the_others() -> None:
    features = torch.randn(3, 2, 4, 5)
    memory = _memory([[1.0, 2.0], [2.0, 0.5]], [[3.0, 4.0], [1.0, 1.0]])
    torch.testing.assert_close(memory.enhance(features)[1:2], memory.enhance(features[1:2]))
