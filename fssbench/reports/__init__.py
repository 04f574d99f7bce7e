"""Runs to look at: what failed, and what two methods disagree on."""

from __future__ import annotations
