"""Where the files are that travel with fssbench: inside the wheel, or at the top of a checkout."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def shipped(relative: str) -> Path:
    """Return the path of a shipped file or folder such as `checkpoints.toml` or `benchmarks/published`.

    A wheel holds them under `fssbench/shipped`; a checkout has them at its top.
    """
    installed = PACKAGE / "shipped" / relative
    return installed if installed.exists() else PACKAGE.parent / relative
