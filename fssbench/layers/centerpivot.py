"""Center-pivot 4D convolution (HSNet, Eq. 5 to 7): two 2D convolutions in place of a 4D one."""

from __future__ import annotations

from torch import Tensor, nn


class CenterPivotConv4d(nn.Module):
    """A 4D kernel that has weights only at the centre of one of its two halves.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        kernel: Side of both 2D kernels, odd.
        stride: Stride over the support positions; over the query positions it is 1.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, kernel, stride=1, padding=kernel // 2)
        self.conv2 = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, h, w, ceil(h' / stride), ceil(w' / stride)) for x (B, inputs, h, w, h', w')."""
        return self._over_query(x[..., :: self.stride, :: self.stride]) + self._over_support(x)

    def _over_query(self, x: Tensor) -> Tensor:
        # Every support position is an image over the query positions.
        batch, channels, height, width, rows, columns = x.shape
        images = x.permute(0, 4, 5, 1, 2, 3).reshape(-1, channels, height, width)
        out: Tensor = self.conv1(images)
        return out.view(batch, rows, columns, -1, height, width).permute(0, 3, 4, 5, 1, 2)

    def _over_support(self, x: Tensor) -> Tensor:
        # Every query position is an image over the support positions.
        batch, channels, height, width, rows, columns = x.shape
        images = x.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels, rows, columns)
        out: Tensor = self.conv2(images)
        return out.view(batch, height, width, *out.shape[1:]).permute(0, 3, 1, 2, 4, 5)
