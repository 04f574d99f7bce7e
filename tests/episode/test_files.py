"""Episode lists on disk: stable bytes, checked when read, written whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.episode import EpisodeList, episodes, read_episodes, write_episodes
from fssbench.errors import BrokenFileError, MissingError, UsageError
from tests.episode.stub import synthetic


@pytest.fixture
def drawn() -> EpisodeList:
    return episodes(synthetic("shapes20i"), way=2, shot=3, protocol="ifsl-fscs", count=6)


@pytest.fixture
def written(drawn: EpisodeList, tmp_path: Path) -> Path:
    return write_episodes(drawn, tmp_path / "list.json")


def rewrite(path: Path, change) -> Path:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path


def test_what_is_written_is_read(drawn: EpisodeList, written: Path) -> None:
    back = read_episodes(written)
    assert back == drawn
    assert back.hash == drawn.hash


def test_left_out_classes_and_odd_names_survive(drawn: EpisodeList, tmp_path: Path) -> None:
    odd = replace(drawn.episodes[0], query='val2014/é "x".jpg')
    changed = replace(drawn, episodes=(odd, *drawn.episodes[1:]), left_out=(3, 5))
    assert read_episodes(write_episodes(changed, tmp_path / "odd.json")) == changed


def test_the_same_list_gives_the_same_bytes(drawn: EpisodeList, written: Path, tmp_path: Path) -> None:
    assert write_episodes(read_episodes(written), tmp_path / "again.json").read_bytes() == written.read_bytes()
    assert len(written.read_text().splitlines()) < len(drawn) + 25, "one line per episode"


def test_layout_does_not_matter_to_the_hash(drawn: EpisodeList, written: Path) -> None:
    assert read_episodes(rewrite(written, lambda document: None)) == drawn


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["episodes"].reverse(), "changed after it was written"),
        (lambda d: d["episodes"].pop(), "changed after it was written"),
        (lambda d: d["episodes"][0].update(query="other"), "changed after it was written"),
        (lambda d: d.update(hash="0" * 64), "changed after it was written"),
        (lambda d: d.update(fold=1), "header"),
        (lambda d: d.update(protocol="hsnet"), "header"),
        (lambda d: d.update(left_out=[6]), "header"),
        (lambda d: d["episodes"][2]["classes"].pop(), "episode 2 is not 2-way 3-shot"),
        (lambda d: d["episodes"][2]["supports"][1].pop(), "episode 2 is not 2-way 3-shot"),
        (lambda d: d["episodes"][1].update(classes=[6, 6]), "episode 1 is not 2-way"),
        (lambda d: d["episodes"][0].update(query="../../etc/passwd"), "leads out"),
        (lambda d: d["episodes"][0].update(query="/etc/passwd"), "leads out"),
        (lambda d: d["episodes"][0].update(query="a\x00b"), "episodes.0.query"),
        (lambda d: d.update(list_order="\x1b[31m"), "list_order"),
        (lambda d: d["episodes"][0].update(query_class="6"), "episodes.0.query_class"),
        (lambda d: d["episodes"][0].update(extra=1), "episodes.0.extra"),
        (lambda d: d.update(version=3), "version"),
        (lambda d: d.update(version=1), "header"),
        (lambda d: d["answer"].update(score_at="input"), "header"),
        (lambda d: d["answer"].update(input=[400, 401]), "header"),
        (lambda d: d["answer"].update(colour="red"), "answer.colour"),
        (lambda d: d.pop("answer"), "header"),
        (lambda d: d["episodes"][2].update(id="fold0-00003"), "episode 2 has the id fold0-00003, not fold0-00002"),
        (lambda d: d["episodes"][2].update(id="../00003"), "episodes.2.id"),
        (lambda d: d["episodes"][2].pop("id"), "episode 2 has the id None"),
        (lambda d: d.update(format="other"), "format"),
        (lambda d: d.update(episodes=[]), "episodes"),
        (lambda d: d.pop("seed"), "seed"),
    ],
)
def test_a_changed_file_is_refused(written: Path, change, message: str) -> None:
    rewrite(written, change)
    with pytest.raises(BrokenFileError, match=message) as caught:
        read_episodes(written)
    assert str(written) in caught.value.message


@pytest.mark.parametrize("content", [b"", b"[]", b"\x89PNG\r\n", b'{"format": ', b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_list_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.json"
    path.write_bytes(content)
    with pytest.raises(BrokenFileError, match="not an episode list"):
        read_episodes(path)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no episode list") as caught:
        read_episodes(tmp_path / "none.json")
    assert "fssbench episodes export" in str(caught.value.remedy)
    with pytest.raises(BrokenFileError, match="can't read"):
        read_episodes(tmp_path)


def test_a_failed_write_leaves_what_was_there(drawn: EpisodeList, written: Path, monkeypatch) -> None:
    before = written.read_bytes()

    def fail(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(UsageError, match="No space left"):
        write_episodes(replace(drawn, episodes=drawn.episodes[:2]), written)
    assert written.read_bytes() == before
    assert list(written.parent.iterdir()) == [written]


def test_a_folder_that_is_not_there(drawn: EpisodeList, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't write") as caught:
        write_episodes(drawn, tmp_path / "none" / "list.json")
    assert "mkdir" in str(caught.value.remedy)


@pytest.mark.parametrize("change", [{"episodes": ()}, {"shot": 4}, {"dataset": ""}, {"fold": -1}])
def test_what_could_not_be_read_is_not_written(drawn: EpisodeList, tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="could not be read again"):
        write_episodes(replace(drawn, **change), tmp_path / "list.json")
    assert list(tmp_path.iterdir()) == []
