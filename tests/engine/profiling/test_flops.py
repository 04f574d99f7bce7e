"""Operations are counted, and nothing else changes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import fssbench
from fssbench.engine.profiling.flops import Operations


def test_products_convolutions_and_attention_count():
    with torch.inference_mode(), Operations() as operations:
        F.linear(torch.ones(3, 4), torch.ones(5, 4), torch.ones(5))
    assert operations.count == 2 * 3 * 4 * 5
    with torch.inference_mode(), Operations() as operations:
        F.conv2d(torch.ones(1, 2, 6, 6), torch.ones(7, 2, 3, 3), padding=1)
    assert operations.count == 2 * 36 * 9 * 2 * 7
    with torch.inference_mode(), Operations() as operations:
        torch.matmul(torch.ones(8, 3, 4), torch.ones(8, 4, 2)).relu().sum()
    assert operations.count == 2 * 8 * 3 * 4 * 2
    with torch.inference_mode(), Operations() as operations:
        F.scaled_dot_product_attention(*(torch.ones(1, 2, 5, 4) for _ in range(3)))
    assert operations.count >= 2 * 2 * (2 * 5 * 5 * 4)
    with torch.inference_mode(), Operations() as operations:
        torch.zeros(3, 5).addmm_(torch.ones(3, 4), torch.ones(4, 5)).add_(1)
        torch.mm(torch.ones(3, 4), torch.ones(4, 5), out=torch.empty(3, 5))
    assert operations.count == 2 * (2 * 3 * 4 * 5)


def test_what_is_counted_has_the_same_digits():
    generator = torch.Generator().manual_seed(0)
    mask = (torch.rand(4, 1, 400, 400, generator=generator) > 0.5).float()

    def resized() -> Tensor:
        return F.interpolate(mask, (25, 25), mode="bilinear", align_corners=True)

    with torch.inference_mode():
        plain = resized()
        with Operations():
            assert torch.equal(resized(), plain)


@pytest.mark.parametrize("name", ["hsnet", "asnet", "pfenet"])
def test_a_whole_answer_has_the_same_digits(name: str):
    torch.manual_seed(3)
    method = fssbench.build(name, "small").eval()
    query, support = torch.randn(1, 3, 192, 192), torch.randn(1, 3, 192, 192)
    mask = torch.zeros(1, 192, 192, dtype=torch.uint8)
    mask[:, 40:99, 51:120] = 1

    def logits() -> Tensor:
        supports = [[method.condition(method.encode(support), mask)]]
        return method.predict(method.prepare_query(method.encode(query)), supports, (192, 192)).logits

    with torch.inference_mode():
        plain = logits()
        with Operations() as operations:
            assert torch.equal(logits(), plain)
    assert operations.count > 1e8
