"""What is encoded how often, by one method and by several."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import torch

import fssbench
from fssbench.backbones import backbone
from fssbench.backbones.staged import StagedSmall
from fssbench.checkpoints.hashes import encoder_sha256
from fssbench.engine.features.cache import CacheCounts
from fssbench.engine.features.jobs import FoldJob
from fssbench.engine.loop import evaluate_jobs, rows_of
from fssbench.engine.order import order_of_work
from fssbench.engine.profiling.timers import StageTimers
from fssbench.errors import UsageError
from fssbench.fast.form import fast_form, flag_of
from fssbench.planning.settings import Settings
from fssbench.results.rows import Row, frame_of
from tests.engine.stub import NearestColour, Patches, questions, rules

CPU = torch.device("cpu")
ALL = Settings(feature_cache=1 << 30)

pytestmark = pytest.mark.usefixtures("narrow_heads")


def counted(rows: list[Row]) -> pd.DataFrame:
    return frame_of(rows).drop(columns="seconds")


def rows_by_job(jobs: list[FoldJob], settings: Settings = ALL, timers: StageTimers | None = None) -> list[list[Row]]:
    rows: list[list[Row]] = [[] for _ in jobs]
    for place, row, _ in evaluate_jobs(jobs, Patches(), CPU, settings, timers):
        rows[place].append(row)
    return rows


@pytest.mark.parametrize("cache", [1 << 30, 0])
def test_every_photo_is_read_once_and_with_room_encoded_once(cache: int):
    method, dataset = NearestColour(), Patches()
    episodes = replace(questions(), episodes=(*questions(), *questions(seed=5)))
    counts = CacheCounts()
    job = FoldJob(method.eval(), episodes, rules(), order_of_work(episodes))
    settings = Settings(feature_cache=cache, workers=0)
    assert len(list(evaluate_jobs([job], dataset, CPU, settings, cache_counts=counts))) == 24
    assert len(dataset.read) == 12
    assert method.encoded == 12 if cache else method.encoded > 24
    assert (counts.hits > 0) is bool(cache)


def test_a_tiny_cache_gives_the_same_rows():
    episodes = questions(shot=2)
    numbers = order_of_work(episodes)
    whole = list(rows_of(NearestColour(1, 2).eval(), Patches(), episodes, rules(), numbers, CPU, settings=ALL))
    image = 3 * 24 * 24 * 4
    for budget in (1, image, 3 * image):
        tiny = Settings(feature_cache=budget)
        rows = list(rows_of(NearestColour(1, 2).eval(), Patches(), episodes, rules(), numbers, CPU, settings=tiny))
        pd.testing.assert_frame_equal(counted(whole), counted(rows))


def test_methods_with_one_frozen_backbone_encode_each_image_once():
    torch.manual_seed(1)
    hsnet = fssbench.build("hsnet", "small")
    torch.manual_seed(1)
    other = fssbench.build("hsnet", "small")
    for parameter in other.hpn_learner.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    small = replace(rules(), input=(192, 192))
    episodes = questions(count=4)
    jobs = [FoldJob(method, episodes, small, order_of_work(episodes)) for method in (hsnet, other)]
    timers = StageTimers()
    both = rows_by_job(jobs, timers=timers)
    images = len({name for e in episodes for name in (e.query, *e.supports[0])})
    assert timers.images == images
    for together, job in zip(both, jobs, strict=True):
        [alone] = rows_by_job([job])
        pd.testing.assert_frame_equal(counted(together), counted(alone))
    assert not counted(both[0]).equals(counted(both[1]))


def test_what_no_answer_depends_on_does_not_tell_encoders_apart():
    torch.manual_seed(4)
    encoder, other = backbone("resnet50"), backbone("resnet50")
    other.load_state_dict(encoder.state_dict())
    torch.nn.init.ones_(other.get_parameter("fc.weight"))
    other.get_buffer("bn1.num_batches_tracked").fill_(7)
    assert encoder_sha256(encoder) == encoder_sha256(other)
    other.get_buffer("bn1.running_mean")[0] = 0.5
    assert encoder_sha256(encoder) != encoder_sha256(other)


def test_methods_with_one_backbone_in_stages_share_its_last_stage(monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(2)
    methods = [fssbench.build(name, "small") for name in ("pfenet", "ntrenet")]
    methods[1].stages.load_state_dict(methods[0].stages.state_dict())
    small = replace(rules(), input=(96, 96))
    episodes = questions(count=4)
    jobs = [FoldJob(fast_form(method), episodes, small, order_of_work(episodes)) for method in methods]
    ran = []
    plain = StagedSmall.deep
    monkeypatch.setattr(StagedSmall, "deep", lambda self, layer3: ran.append(1) or plain(self, layer3))
    both = rows_by_job(jobs)
    whole = {episode.query for episode in episodes}
    masked = {(name, episode.classes) for episode in episodes for name in episode.supports[0]}
    assert len(ran) == len(whole) + len(masked)
    for together, job in zip(both, jobs, strict=True):
        [alone] = rows_by_job([job])
        pd.testing.assert_frame_equal(counted(together), counted(alone))


def test_methods_with_other_backbones_do_not_share():
    torch.manual_seed(0)
    methods = [fssbench.build("hsnet", "small") for _ in range(2)]
    small = replace(rules(), input=(192, 192))
    episodes = questions(count=1)
    timers = StageTimers()
    rows_by_job([FoldJob(method, episodes, small, [0]) for method in methods], timers=timers)
    images = len({episodes[0].query, *episodes[0].supports[0]})
    assert timers.images == 2 * images


def test_several_shots_in_one_pass_are_as_one_by_one():
    one, two = questions(shot=1), questions(shot=2)
    method = NearestColour(1, 1).eval()
    jobs = [FoldJob(method, part, rules(), order_of_work(part)) for part in (one, two)]
    timers = StageTimers()
    for together, job in zip(rows_by_job(jobs, timers=timers), jobs, strict=True):
        [alone] = rows_by_job([job])
        pd.testing.assert_frame_equal(counted(together), counted(alone))
    assert timers.images == 12
    assert timers.episodes == 24


class OneEncoder(NearestColour):
    """Shares what it makes of an image, which is the image, with others of its kind."""

    @property
    def shared_encoder(self) -> torch.nn.Module:
        return torch.nn.Identity()


def of_folds(count: int = 2) -> list[FoldJob]:
    lists = [replace(questions(seed=fold, count=24), fold=fold) for fold in range(count)]
    return [
        FoldJob(OneEncoder(radius=1.1 + part.fold / 10).eval(), part, rules(), order_of_work(part)) for part in lists
    ]


def test_folds_follow_each_other_and_encode_each_image_once():
    jobs, timers = of_folds(3), StageTimers()
    results = [(place, row) for place, row, _ in evaluate_jobs(jobs[::-1], Patches(), CPU, ALL, timers)]
    assert [row.fold for _, row in results] == [0] * 24 + [1] * 24 + [2] * 24
    assert timers.images == 12
    for job in jobs:
        [alone] = rows_by_job([job])
        together = [row for _, row in results if row.fold == job.episodes.fold]
        pd.testing.assert_frame_equal(counted(alone), counted(together))


@pytest.mark.parametrize("images", [0, 1, 2, 3, 4, 6, 9, 14])
def test_what_a_later_fold_needs_does_not_crowd_out_the_fold_at_work(images: int):
    settings = replace(ALL, feature_cache=images * (3 * 24 * 24 * 4 + 50))
    jobs, together, alone = of_folds(3), StageTimers(), StageTimers()
    both, one = CacheCounts(), CacheCounts()
    list(evaluate_jobs(jobs, Patches(), CPU, settings, together, cache_counts=both))
    for job in jobs:
        list(evaluate_jobs([job], Patches(), CPU, settings, alone, cache_counts=one))
    assert together.images <= alone.images
    # What was made for later folds and had to go is at most what filled the room once.
    assert both.evicted <= one.evicted + images


@pytest.mark.parametrize(
    "wrong", [{"feature_cache": -1}, {"batch_size": 0}, {"workers": -1}, {"workers": 99}, {"precision": "int8"}]
)
def test_settings_out_of_their_range(wrong: dict[str, object]):
    with pytest.raises(UsageError):
        Settings(**wrong)


def test_tf32_is_not_for_processors():
    with pytest.raises(UsageError, match="graphics cards"):
        Settings(precision="tf32").autocast(CPU)


def test_a_lower_precision_answers_nearly_the_same_and_is_on_record(tmp_path):
    method = fssbench.build("hsnet", "small")
    dataset = fssbench.open_dataset("shapes20i")
    episodes = fssbench.episodes(dataset, fold=0, protocol="shapes", count=2)
    exact = fssbench.evaluate(method, dataset, episodes)
    low = fssbench.evaluate(method, dataset, episodes, settings=Settings(precision="bfloat16"), out=tmp_path / "run")
    assert (exact.run.precision, low.run.precision) == ("float32", "bfloat16")
    assert low.frame["query"].tolist() == exact.frame["query"].tolist()
    with pytest.raises(UsageError, match="precision"):
        fssbench.evaluate(method, dataset, episodes, out=tmp_path / "run", resume=True)


def test_operations_are_counted_where_that_is_asked():
    method = fssbench.build("hsnet", "small")
    small = replace(rules(), input=(192, 192))
    episodes = questions(count=2)
    timers = StageTimers()
    rows_by_job([FoldJob(method, episodes, small, [0, 1])], replace(ALL, profiled=True), timers)
    assert timers.flops("encode") > 1e8
    assert timers.flops("predict") > 1e8
    assert timers.flops("score") == 0
    # What a call of `prepare_query` takes, nothing here, does not thin what a call of `encode` takes.
    assert timers.stopwatches["prepare_query"].calls > 0
    assert timers.flops("encode") == timers.stopwatches["encode"].flops
    assert all(watch.seconds > 0 for watch in timers.stopwatches.values())


@pytest.mark.parametrize(("second", "shared"), [("asnet", True), ("asnet-hm", False)])
def test_methods_that_make_queries_ready_alike_have_each_made_once(second: str, shared: bool):
    methods = [fssbench.build(name, "small") for name in ("hsnet", second)]
    encoder = methods[0].shared_encoder
    assert encoder is not None
    methods[1].shared_encoder.load_state_dict(encoder.state_dict())
    small, episodes = replace(rules(), input=(192, 192)), questions(count=6)
    forms = [fast_form(method) for method in methods]
    jobs = [FoldJob(form, episodes, small, range(6)) for form in forms]
    timers, counts = StageTimers(), CacheCounts()
    list(evaluate_jobs(jobs, Patches(), CPU, ALL, timers, cache_counts=counts))
    queries = {episode.query for episode in episodes.episodes}
    assert timers.stopwatches["prepare_query"].calls == len(queries) * (1 if shared else 2)
    alone = [flag_of(type(form), "query_of_features_alone", "prepare_query") for form in forms]
    assert alone == [True, shared]


def test_a_class_with_its_own_way_to_make_queries_ready_is_taken_to_use_its_weights():
    class Scaled(type(fssbench.build("hsnet", "small"))):
        def prepare_query(self, features):
            return super().prepare_query(features)

    class Declared(Scaled):
        query_of_features_alone = True

        def prepare_query(self, features):
            return super().prepare_query(features)

    assert not flag_of(Scaled, "query_of_features_alone", "prepare_query")
    assert flag_of(Declared, "query_of_features_alone", "prepare_query")
