"""Runs and trainings shown elsewhere while they go on: a small callback, and MLflow and Weights & Biases behind it."""

from __future__ import annotations

from fssbench.tracking.callback import Callback

__all__ = ["Callback"]
