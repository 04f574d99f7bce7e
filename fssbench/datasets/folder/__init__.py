"""Own data: a folder of photos and label maps."""

from __future__ import annotations

DESCRIPTION_FILE = "dataset.toml"
"""The file in a folder of own data that describes it."""
