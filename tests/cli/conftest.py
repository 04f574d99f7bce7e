"""What the tests of `fssbench train` share with those of training."""

from tests.training.conftest import backbone_weights

__all__ = ["backbone_weights"]
