"""What the tests of data sets with objects share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest


@pytest.fixture
def generator() -> Iterator[None]:
    """NumPy's global generator, from which the release draws, put back as it was found."""
    state = np.random.get_state()  # noqa: NPY002 - the release uses it
    yield
    np.random.set_state(state)  # noqa: NPY002 - as above
