"""What masks show of an episode, and predictions held against their rows."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fssbench
from fssbench.errors import BrokenFileError, UsageError
from fssbench.planning.settings import Settings
from fssbench.predictions.files import encode_png, file_name
from fssbench.predictions.places import path_from
from fssbench.reports import cases as of_cases
from fssbench.reports.again import again
from fssbench.reports.cases import object_in, plain_cases, with_masks
from fssbench.reports.errors import Category
from fssbench.reports.gallery import choose, episode_values, size_word
from fssbench.reports.numbers import kinds as shares_of_kinds
from fssbench.reports.predictions import Predicted, refused_path, saved, saved_folder
from fssbench.reports.runs import Compared, Key, Method, read
from fssbench.reports.scene import Scene, open_scene
from fssbench.results.photos import mask_digest


def test_an_object_has_its_size_its_parts_and_whether_it_is_cut_off(scene: Scene) -> None:
    label = np.zeros((100, 100), dtype=np.uint8)
    label[10:20, 10:20], label[50:60, 50:60], label[80, 80] = 3, 3, 3
    label[30] = 255
    found = object_in(label, label, 3, scene)
    assert (found.pixels, found.counted, found.parts, found.cut) == (201, 9900, 2, False)
    assert found.size == pytest.approx(2.01)
    label[99, 40] = 3
    assert object_in(label, label, 3, scene).cut


def test_counts_that_rows_imply_are_those_of_the_label_maps(compared: Compared, scene: Scene, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(of_cases, "category_of", lambda pixels: seen.append(pixels))
    with_masks(plain_cases(compared), compared, scene)
    made = [again(method, scene, compared.keys)[0] for method in compared.methods]
    for place, key in enumerate(compared.keys):
        row = compared.methods[0].rows[key]
        truth = scene.truth(row).label
        for number in range(2):
            labels, pixels = made[number][key].labels, seen[2 * place + number]
            kept = truth != 255
            assert pixels.predicted == int(((labels == 1) & kept).sum())
            assert pixels.truth == int((truth == row.classes[0]).sum())
            assert pixels.counted == int(kept.sum())


def test_all_foreground_predicts_everything_unless_the_object_fills_the_query(compared: Compared, scene: Scene) -> None:
    found = with_masks(plain_cases(compared), compared, scene)
    assert {case.categories[1] for case in found} == {Category.EVERYTHING}
    assert all(case.found and 0 < case.found.size < 50 for case in found)


def test_masks_that_do_not_fit_the_counts_are_refused(compared: Compared, scene: Scene) -> None:
    method = compared.methods[0]
    key = compared.keys[0]
    row = method.rows[key]
    method.rows[key] = replace(row, intersection=(row.intersection[0], 10**6), union=(row.union[0], 10**6))
    with pytest.raises(BrokenFileError, match="do not fit the counts of the run"):
        with_masks(plain_cases(compared), compared, scene)


def test_masks_that_have_changed_since_are_said(compared: Compared, scene: Scene) -> None:
    method = compared.methods[0]
    row = method.rows[compared.keys[0]]
    digests = [mask_digest(scene.dataset.label(name)) for name in (row.query, *row.supports[0])]
    same, other = replace(row, masks=tuple(digests)), replace(row, masks=("0" * 12, *digests[1:]))
    assert (scene.label(same) == scene.dataset.label(row.query)).all()
    assert scene.photo_fault(same) == ""
    assert scene.photo_fault(other) == f"the mask of {row.query} has changed since the run"
    support = replace(row, masks=(digests[0], "0" * 12))
    assert scene.photo_fault(support) == f"the mask of {row.supports[0][0]} has changed since the run"
    method.rows[compared.keys[0]] = other
    with pytest.raises(UsageError, match=f"the mask of {row.query} has changed"):
        with_masks(plain_cases(compared), compared, scene)


def test_predictions_made_again_are_those_of_the_rows(compared: Compared, scene: Scene) -> None:
    for method in compared.methods:
        found, reason = again(method, scene, compared.keys[:2])
        assert reason == ""
        assert [one.verified for one in found.values()] == [True, True]
        assert {one.origin for one in found.values()} == {"computed again"}


def test_a_row_that_was_changed_is_noticed(compared: Compared, scene: Scene) -> None:
    method, key = compared.methods[1], compared.keys[0]
    row = method.rows[key]
    method.rows[key] = replace(row, union=(row.union[0], row.union[1] - 1))
    found, _ = again(method, scene, [key])
    assert not found[key].verified


def test_a_run_whose_settings_are_others_now_is_not_computed_again(compared: Compared, scene: Scene) -> None:
    method = compared.methods[0]
    run = replace(method.run, method=replace(method.run.method, options={"colour": 1}))
    found, reason = again(replace(method, results=replace(method.results, run=run)), scene, compared.keys[:1])
    assert found == {}
    assert reason.startswith("its method.options was")


@pytest.fixture
def with_predictions(two_runs: Path, tmp_path: Path) -> Path:
    """A copy of a run with its predictions in its folder."""
    folder = tmp_path / "copied"
    shutil.copytree(two_runs / "copied", folder)
    compared = read([folder])
    made, _ = again(compared.methods[0], open_scene(compared.run), compared.keys)
    (folder / "predictions").mkdir()
    for key, one in made.items():
        (folder / "predictions" / file_name(*key)).write_bytes(encode_png(one.labels))
    return folder


def test_saved_predictions_are_found_read_and_held_against_the_rows(with_predictions: Path, two_runs: Path) -> None:
    method = read([with_predictions]).methods[0]
    scene = open_scene(method.run)
    assert saved_folder(method) == with_predictions / "predictions"
    found = saved(method, scene, list(method.rows))
    assert len(found) == 6
    assert all(one.verified and one.origin == "saved" for one in found.values())
    # The predictions of another method are not taken for those of this one.
    other = read([two_runs / "everything"]).methods[0]
    assert saved_folder(other) is None
    wrong = saved(other, scene, list(other.rows), with_predictions / "predictions")
    assert [one.verified for one in wrong.values()] == [False] * 6


def test_saved_predictions_are_where_the_command_put_them(with_predictions: Path, tmp_path: Path, monkeypatch) -> None:
    elsewhere = with_predictions.rename(tmp_path / "run") / "predictions"
    elsewhere.rename(tmp_path / "maps")
    method = read([tmp_path / "run"]).methods[0]
    start = replace(method.run.starts[0], command=("fssbench", "eval", "--save-predictions=maps"))
    run = replace(method.run, starts=(start,))
    monkeypatch.chdir(tmp_path)
    assert saved_folder(replace(method, results=replace(method.results, run=run))) == Path("maps")


def recorded(folder: Path, path: str) -> Method:
    """Return a run whose record has a path to predictions."""
    method = read([folder]).methods[0]
    return replace(method, results=replace(method.results, run=replace(method.run, predictions=path)))


def test_recorded_predictions_are_found_also_after_the_run_was_moved(with_predictions: Path, tmp_path: Path) -> None:
    (with_predictions / "predictions").rename(tmp_path / "maps")
    assert path_from(with_predictions, tmp_path / "maps") == "../maps"
    assert path_from(with_predictions, with_predictions / "a" / "maps") == "a/maps"
    elsewhere = (tmp_path, tmp_path.parent / "maps", with_predictions)
    assert [path_from(with_predictions, folder) for folder in elsewhere] == [None, None, None]
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("copied", "maps"):
        (tmp_path / name).rename(moved / name)
    method = recorded(moved / "copied", "../maps")
    assert len(saved(method, open_scene(method.run), list(method.rows))) == 6


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/etc",
            "../../maps",
            "a/../../../maps",
            "..",
            ".",
            "",
            "\\\\server\\maps",
            "C:/maps",
            "C:maps",
            "//server/maps",
        ),
        *("ma\0ps", "ma\nps", "x" * 2000, "link"),
    ],
)
def test_a_hostile_path_in_a_record_is_not_followed(with_predictions: Path, tmp_path: Path, path: str) -> None:
    outside = (with_predictions / "predictions").rename(tmp_path.parent / f"{tmp_path.name}-outside")
    (with_predictions / "link").symlink_to(outside)
    method = recorded(with_predictions, path)
    assert saved_folder(method) is None
    assert refused_path(method) == path


def test_of_a_folder_elsewhere_only_the_predictions_of_the_rows_are_shown(
    with_predictions: Path, two_runs: Path, tmp_path: Path
) -> None:
    # A command in a record may come from anybody, too.
    maps = (with_predictions / "predictions").rename(tmp_path / "maps")
    for folder, count in ((with_predictions, 6), (two_runs / "everything", 0)):
        method = read([folder]).methods[0]
        start = replace(method.run.starts[0], command=("fssbench", "eval", "--save-predictions", str(maps)))
        method = replace(method, results=replace(method.results, run=replace(method.run, starts=(start,))))
        assert len(saved(method, open_scene(method.run), list(method.rows))) == count
    broken = replace(start, command=("fssbench", "--save-predictions", "ma\0ps"))
    assert (
        saved_folder(replace(method, results=replace(method.results, run=replace(method.run, starts=(broken,)))))
        is None
    )


def test_a_damaged_prediction_is_left_out(with_predictions: Path) -> None:
    (with_predictions / "predictions" / file_name(0, 2)).write_bytes(b"GIF89a")
    method = read([with_predictions]).methods[0]
    assert sorted(saved(method, open_scene(method.run), list(method.rows))) == [(0, n) for n in (0, 1, 3, 4, 5)]


def test_known_label_maps_tell_the_wrong_object_from_too_much(compared: Compared, scene: Scene) -> None:
    key = compared.keys[0]
    cases = [case for case in plain_cases(compared) if case.key == key]
    truth = scene.truth(compared.methods[0].rows[key]).label
    others = (truth != 255) & (truth != 0) & (truth != cases[0].class_id)
    labels = others.astype(np.uint8)
    union = int(others.sum() + (truth == cases[0].class_id).sum())
    row = compared.methods[0].rows[key]
    compared.methods[0].rows[key] = replace(row, intersection=(0, 0), union=(0, union))
    for verified, kinds in ((True, {Category.WRONG}), (False, {Category.MISSING, Category.TOO_MUCH})):
        known = [{key: Predicted(labels, None, "saved", verified)}, {}]
        found = with_masks(cases, compared, scene, known)
        assert found[0].categories[0] in kinds
        # Where only one method's map is known, the shares of both are of the kinds that counts tell.
        shares = shares_of_kinds(found, 2, maps=False)
        assert Category.WRONG not in shares
        assert [sum(values) for values in zip(*shares.values(), strict=True)] == [100.0, 100.0]


def test_episodes_are_chosen_from_all_ends(compared: Compared) -> None:
    cases = plain_cases(compared)
    values = episode_values(cases)
    chosen = choose(cases, 4)
    assert len(set(chosen)) == 4
    worst_of_class: dict[int, Key] = {}
    for case in sorted(cases, key=lambda case: (np.mean(values[case.key]), case.key)):
        worst_of_class.setdefault(case.class_id, case.key)
    assert set(list(worst_of_class.values())[:4]) <= set(chosen)
    assert sorted(choose(cases, 100)) == sorted(values)
    assert [size_word(share) for share in (0.9, 5, 15, 16)] == ["tiny", "small", "medium", "large"]


def test_the_data_of_another_run_is_refused(compared: Compared) -> None:
    run = replace(compared.run, dataset=replace(compared.run.dataset, fingerprint="0" * 64))
    with pytest.raises(UsageError, match="are others than those of the run"):
        open_scene(run)


def test_episodes_of_several_ways_have_a_case_for_each_class(tmp_path: Path) -> None:
    dataset = fssbench.open_dataset("shapes20i")
    episodes = fssbench.episodes(dataset, fold=0, way=2, shot=1, protocol="ifsl-fscs", count=3, seed=0)
    method = fssbench.build("copy-mask", variant="fscs", way=2)
    fssbench.evaluate(method, dataset, episodes, out=tmp_path / "run", settings=Settings())
    compared = read([tmp_path / "run"])
    scene = open_scene(compared.run)
    made, reason = again(compared.methods[0], scene, compared.keys)
    assert (reason, [one.verified for one in made.values()]) == ("", [True] * 3)
    found = with_masks(plain_cases(compared), compared, scene, [made])
    assert [(case.key[1], case.place) for case in found] == [(n, place) for n in range(3) for place in range(2)]
    for case in found:
        if not case.present:
            labels = made[case.key].labels
            expected = Category.NOT_THERE if (labels == case.place + 1).any() else Category.RIGHT
            assert case.categories == (expected,)
