"""Predictions in files: label maps that a method outside fssbench wrote, read, checked and counted. No torch."""

from __future__ import annotations
