"""Predictions in files: label maps written by a method outside fssbench are read, checked and counted. No torch."""

from __future__ import annotations
