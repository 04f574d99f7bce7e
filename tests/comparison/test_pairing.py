"""Which runs are paired, on which episodes, and what is said of them and to whoever has others."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fssbench.comparison.alike import counted_alike
from fssbench.comparison.pairing import pair
from fssbench.errors import BrokenFileError, UsageError
from fssbench.metrics.looks import level_of_each
from fssbench.protocols.choices import ProtocolFile
from fssbench.results import Results, Run, load_run
from fssbench.results.until import Look, Until
from fssbench.results.weights_record import Weights
from tests.tables.runs import limited, run_of, write_run

Store = Callable[..., Results]
LIST = "episodes-fold{fold}.json"


@pytest.fixture
def stored(tmp_path: Path) -> Store:
    def store(name: str, run: Run | None = None) -> Results:
        return load_run(write_run(tmp_path / name, run or run_of(), spread=0))

    return store


def refused(*runs: Results) -> UsageError:
    with pytest.raises(UsageError) as found:
        pair(runs)
    return found.value


def ruled(run: Run, **rules: Any) -> Run:
    return replace(run, protocol=replace(run.protocol, **rules))


def of_method(run: Run, **words: Any) -> Run:
    return replace(run, method=replace(run.method, **words))


def test_the_remedy_evaluates_the_other_method_on_the_lists_of_the_reference(stored: Store) -> None:
    one = stored("a")
    lists = shlex.quote(f"{one.folder}/{LIST}")
    start, end = "fssbench eval --method", f"--episodes {lists} --out NEW_FOLDER"
    other = run_of("asnet", lists="b")
    assert refused(one, stored("b", other)).remedy == f"{start} asnet --dataset shapes20i --backbone resnet50 {end}"
    plain = of_method(other, variant="x", backbone=None)
    assert refused(one, stored("c", plain)).remedy == f"{start} asnet --dataset shapes20i --variant x {end}"
    # A variant for another task is none for this one.
    many = of_method(plain, task="fscs")
    assert refused(one, stored("d", many)).remedy == f"{start} asnet --dataset shapes20i {end}"


def test_the_remedy_has_the_fold_the_limit_and_the_own_protocol_of_the_reference(stored: Store, tmp_path: Path) -> None:
    rules = ProtocolFile(path=str(tmp_path / "mine.toml"), sha256="0" * 64, content="")
    run = ruled(limited(run_of(folds=(2,)), 3), own=rules, name="mine.toml:close")
    one, other = stored("a", run), stored("b", run_of("asnet", folds=(2,), lists="b"))
    assert refused(one, other).remedy == (
        f"fssbench eval --method asnet --dataset shapes20i --backbone resnet50 --episodes "
        f"{shlex.quote(f'{one.folder}/{LIST}')} --protocol {tmp_path}/mine.toml:close --fold 2 --limit 3 "
        "--out NEW_FOLDER"
    )
    two = stored("c", run_of(folds=(1, 2), lists="c"))
    assert "--fold" not in (refused(two, stored("d", run_of(folds=(1, 2), lists="d"))).remedy or "")


def test_what_differs_is_told_of_both_runs(stored: Store) -> None:
    one = stored("a", run_of(lists="0123456789abcdef", data="0123456789abcdef"))
    a, start = one.folder, "these runs can't be compared, as they differ in the"
    other = stored("b", run_of(lists="fedcba9876543210", data="0123456789abcdef"))
    drawn = "4 episodes drawn by shapes, seed 0"
    assert refused(one, other).message == (
        f"{start} episode list of fold 0: {drawn} (0123456789ab) in {a}, {drawn} (fedcba987654) in {other.folder}"
    )
    other = stored("c", run_of(lists="0123456789abcdef", data="fedcba9876543210"))
    assert (
        refused(one, other).message == f"{start} data fingerprint: 0123456789ab in {a}, fedcba987654 in {other.folder}"
    )
    other = stored("d", run_of(folds=(0, 1), lists="0123456789abcdef", data="0123456789abcdef"))
    assert refused(one, other).message == f"{start} folds: [0, 1, 2, 3] in {a}, [0, 1] in {other.folder}"
    # Every run is held against the first one.
    assert refused(one, stored("e", one.run), other).message.endswith(f"[0, 1] in {other.folder}")


def test_the_input_size_matters_where_it_decides_what_is_counted(stored: Store) -> None:
    run = run_of()
    other = ruled(run, input=(192, 100))
    assert counted_alike(run, other)
    assert not counted_alike(run, replace(run, shot=5))
    for rules, told in (
        ({"score_at": "input"}, "input {} x {}, pillow-bilinear"),
        ({"resize": "pillow-and-back"}, "original {} x {}, pillow-and-back"),
        ({"resize": "opencv-pad-squeezed"}, "original {} x {}, opencv-pad-squeezed"),
    ):
        pairs = ruled(run, **rules), ruled(other, **rules)
        assert not counted_alike(*pairs)
        message = refused(*(stored(f"{told[:12]}{n}{told[-3:]}", each) for n, each in enumerate(pairs))).message
        assert f"scoring size: {told.format(192, 192)} in " in message
        assert f", {told.format(192, 100)} in " in message


def test_a_command_that_mends_a_run_is_that_of_its_last_start(stored: Store, tmp_path: Path) -> None:
    one, run = stored("a"), run_of("asnet")
    first, last = (replace(run.starts[0], command=("fssbench", "eval", "--out", name)) for name in ("first", "b"))

    def mended(name: str, run: Run) -> str | None:
        changed = stored(name, run)
        frame = changed.frame.assign(query=["else", *changed.frame["query"][1:]])
        with pytest.raises(BrokenFileError) as found:
            pair([one, replace(changed, frame=frame)])
        return found.value.remedy

    assert mended("b", replace(run, starts=(first, last))) == "fssbench eval --out b --overwrite"
    from_python = replace(run, starts=(replace(last, command=("python", "mine.py")),))
    assert mended("c", from_python) == f"fssbench eval ... --out {tmp_path / 'c'} --overwrite"
    predicted = tuple(replace(fold, weights=Weights("predictions", None)) for fold in run.folds)
    scored = replace(last, command=("fssbench", "score", "masks", "--out", "d"))
    assert mended("d", replace(run, folds=predicted, starts=(scored,))) == "fssbench score masks --out d --overwrite"


def test_whole_runs_need_no_note_and_rows_are_numbered_anew(stored: Store) -> None:
    runs = [stored("a"), stored("b", run_of("asnet"))]
    mixed = [replace(each, frame=each.frame.sample(frac=1, random_state=n)) for n, each in enumerate(runs)]
    paired = pair(mixed)
    assert paired.notes == ()
    for frame in paired.frames:
        assert list(frame.index) == list(range(16))
        assert list(zip(frame["fold"], frame["episode"], strict=True)) == [(f, e) for f in range(4) for e in range(4)]


def test_the_note_on_a_part_of_the_lists_is_that_of_the_reference(stored: Store) -> None:
    looks = (2, 4)
    rule = Until(1.0, looks, level_of_each(looks, 0.95), looks=(Look(2, 50.0, 0.5),), stopped="narrow")
    ended, cut = (limited(run_of(name), 2) for name in ("hsnet", "asnet"))
    runs = [stored("a", replace(ended, until=rule)), stored("b", cut)]
    for order, option in ((runs, "--until"), (runs[::-1], "--limit")):
        assert pair(order).notes == (f"{option}: only the first 2 episodes of each list were evaluated",)


def test_methods_that_have_seen_or_are_given_other_things_are_told_apart(stored: Store) -> None:
    trained, fixed = stored("a"), stored("b", run_of("copy-mask", backbone=None))
    assert pair([trained, fixed]).notes == (
        "the runs differ in what was seen and given; training: hsnet resnet50 not stated, copy-mask none on the data "
        "set; novel classes in training images: hsnet resnet50 not stated, copy-mask no training",
    )
    assert pair([trained, stored("c", run_of("asnet"))]).notes == ()


def with_digests(results: Results, kind: str, digests: Sequence[object]) -> Results:
    rest = [digests[-1]] * (len(results.frame) - len(digests))
    return replace(results, frame=results.frame.assign(**{kind: [*digests, *rest]}))


@pytest.mark.parametrize(("kind", "what"), [("photos", "photos"), ("masks", "masks of supports")])
def test_other_files_under_the_same_names_are_noted(stored: Store, kind: str, what: str) -> None:
    one, other = stored("a"), stored("b", run_of("asnet"))
    known = with_digests(one, kind, [("q", "s")])

    def notes(*digests: object) -> tuple[str, ...]:
        return pair([known, with_digests(other, kind, digests)]).notes

    assert notes(("q", "s")) == ()
    told = f"{other.folder} read different {what} under the same names in {{}} of 16 episodes"
    assert notes(("q", "t"), ("q", "s")) == (told.format(1),)
    assert notes(("q", "t")) == (told.format(16),)
    # What was not read, or is not on record, is not known to differ.
    for unknown in (("q", ""), None, ("q", "t", "u")):
        assert notes(unknown, ("q", "s")) == ()
    assert pair([known, other]).notes == pair([other, known]).notes == ()


def test_a_mask_of_a_support_that_is_not_known_hides_no_other_query(stored: Store) -> None:
    one, other = stored("a"), stored("b")
    for mine, theirs in ((("m", ""), ("n", "s")), (("m", "s"), ("n", ""))):
        with pytest.raises(UsageError, match=r"the masks of .* queries are others"):
            pair([with_digests(one, "masks", [mine, ("m", "s")]), with_digests(other, "masks", [theirs, ("m", "s")])])


def test_rows_are_counted_in_the_order_of_episodes(stored: Store) -> None:
    one, other = stored("a"), stored("b")
    backwards = replace(other, frame=other.frame.iloc[::-1].reset_index(drop=True))
    for frame in pair([one, backwards]).frames:
        assert frame.index.tolist() == list(range(len(frame)))
        places = list(zip(frame["fold"], frame["episode"], strict=True))
        assert places == sorted(places)


def test_queries_with_other_masks_are_not_paired(stored: Store) -> None:
    one, other = stored("a"), stored("b", run_of("asnet"))
    known = with_digests(one, "masks", [("m", "s")])
    changed = with_digests(other, "masks", [("m", "s"), ("n", "s"), ("m", "s")])
    error = refused(known, changed)
    assert error.message == (
        f"these runs can't be compared: the masks of 1 queries are others in {other.folder} than in {one.folder}, "
        "the first that of q1"
    )
    assert (error.remedy or "").startswith("fssbench eval --method asnet")
    for alike in (("m", "t"), ("", "s"), ("", "t"), None):
        pair([known, with_digests(other, "masks", [alike, ("m", "s")])])
        pair([with_digests(one, "masks", [alike, ("m", "s")]), with_digests(other, "masks", [("m", "s")])])


def test_episodes_without_a_prediction_are_left_out_of_all_runs(stored: Store) -> None:
    def without(name: str, *episodes: int) -> Results:
        results = stored(name, run_of(name, folds=(0,)))
        run = replace(results.run, folds=(replace(results.run.folds[0], unanswered=len(episodes)),))
        return replace(results, run=run, frame=results.frame[~results.frame["episode"].isin(episodes)])

    runs = [without("hsnet", 0), without("asnet", 2), without("panet")]
    paired = pair(runs)
    assert [frame["episode"].tolist() for frame in paired.frames] == [[1, 3]] * 3
    where = ", ".join(str(each.folder) for each in runs[:2])
    assert f"episodes without a prediction in {where} are left out of all runs" in paired.notes
    assert refused(without("a", 0, 1), without("b", 2, 3)).message == "no episode has a prediction in all of these runs"
