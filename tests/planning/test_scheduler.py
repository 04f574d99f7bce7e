"""The shard of a job by environment variables: plain ones, those of a Slurm array, and values that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fssbench.errors import UsageError
from fssbench.planning.scheduler import Scheduled, check_same_count, scheduled_shard
from fssbench.results.shard import Shard


def slurm(index: object, count: object, first: object = 0, last: object = None, step: object = None) -> dict[str, str]:
    values = {"ID": index, "COUNT": count, "MIN": first, "MAX": last, "STEP": step}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items() if value is not None}


def test_without_variables_there_is_no_shard():
    assert scheduled_shard({}) is None
    assert scheduled_shard({"SLURM_JOB_ID": "7", "SLURM_PROCID": "0"}) is None


def test_plain_variables_come_before_those_of_slurm():
    plain = {"FSSBENCH_SHARD": "3", "FSSBENCH_SHARDS": "16"}
    assert scheduled_shard(plain | slurm(0, 4)) == Scheduled(Shard(3, 16), "FSSBENCH_SHARD")


@given(st.integers(1, 300), st.integers(0, 1000), st.integers(1, 9))
def test_indices_of_any_start_and_step_are_all_shards_in_order(count: int, first: int, step: int):
    last = first + (count - 1) * step
    found = [scheduled_shard(slurm(index, count, first, last, step)) for index in range(first, last + 1, step)]
    assert [one.shard for one in found if one] == [Shard(number, count) for number in range(1, count + 1)]


def test_the_last_index_may_be_unknown():
    found = scheduled_shard(slurm(6, 4, first=2, step=2))
    assert found is not None
    assert found.shard == Shard(3, 4)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"FSSBENCH_SHARD": "1"}, "FSSBENCH_SHARD is set, but FSSBENCH_SHARDS is not"),
        ({"FSSBENCH_SHARDS": "4"}, "FSSBENCH_SHARDS is set, but FSSBENCH_SHARD is not"),
        ({"FSSBENCH_SHARD": "", "FSSBENCH_SHARDS": "4"}, "FSSBENCH_SHARD is empty"),
        ({"FSSBENCH_SHARD": "0", "FSSBENCH_SHARDS": "4"}, "'0', not a number from 1"),
        ({"FSSBENCH_SHARD": "5", "FSSBENCH_SHARDS": "4"}, "there is no shard 5 of 4"),
        ({"FSSBENCH_SHARD": "1/4", "FSSBENCH_SHARDS": "4"}, "'1/4'"),
        ({"FSSBENCH_SHARD": "1", "FSSBENCH_SHARDS": "-4"}, "'-4'"),
        ({"FSSBENCH_SHARD": "1", "FSSBENCH_SHARDS": "9" * 30}, "not a number"),
        ({"FSSBENCH_SHARD": "٣", "FSSBENCH_SHARDS": "4"}, "not a number"),
        ({"FSSBENCH_SHARD": "\x1b[31m1\n", "FSSBENCH_SHARDS": "4"}, r"'\?\[31m1\?'"),
        ({"SLURM_ARRAY_TASK_ID": "1"}, "SLURM_ARRAY_TASK_COUNT is not"),
        ({"SLURM_ARRAY_TASK_COUNT": "4"}, "SLURM_ARRAY_TASK_ID is not"),
        (slurm("x", 4), "SLURM_ARRAY_TASK_ID is 'x'"),
        (slurm(1, 0), "'0', not a number from 1"),
        (slurm(4, 4, first=None), "SLURM_ARRAY_TASK_MIN, its first index, is not set"),
        (slurm(4, 4), "without gaps"),
        (slurm(3, 2, first=3, last=7, step=1), "without gaps"),  # --array=3,7
        (slurm(4, 3, first=3, last=7, step=2), "and this is 4"),
        (slurm(1, 4, first=2, last=5), "without gaps"),
        (slurm(1, 4, last=3, step=0), "'0', not a number from 1"),
    ],
)
def test_what_is_refused_says_how_it_is_mended(environment: dict[str, str], message: str):
    with pytest.raises(UsageError, match=message) as refused:
        scheduled_shard(environment)
    assert refused.value.remedy
    assert refused.value.message.isprintable()


def test_a_job_of_another_array_is_refused(tmp_path: Path):
    scheduled = Scheduled(Shard(1, 3), "SLURM_ARRAY_TASK_ID")
    check_same_count(tmp_path, scheduled)
    (tmp_path / "shard-2-of-3").mkdir()
    check_same_count(tmp_path, scheduled)
    (tmp_path / "shard-2-of-3").rename(tmp_path / "shard-2-of-16")
    with pytest.raises(UsageError, match=r"makes this shard 1/3, but .* has shards of 16"):
        check_same_count(tmp_path, scheduled)
    with pytest.raises(UsageError, match="shard 1/1"):
        check_same_count(tmp_path, Scheduled(Shard(1, 1), "SLURM_ARRAY_TASK_ID"))
