"""How many examples the property tests try: few in the tests, many by `make fuzz`, which sets FSSBENCH_EXAMPLES."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("FSSBENCH_EXAMPLES", "1"))


def examples(count: int) -> settings:
    """Return the settings of a property test that tries `count` examples, the same ones in each run of the tests."""
    return settings(
        max_examples=count * TIMES,
        deadline=None,
        database=None,
        derandomize=TIMES == 1,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
