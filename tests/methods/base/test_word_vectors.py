"""Vectors of class names: the rule for any name, and the files of releases."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.ledger.classes import class_names
from fssbench.methods.base import word_vectors
from fssbench.methods.base.word_vectors import LENGTH, character_vector, check_vectors, shipped_vectors, vector_of


def test_a_vector_of_characters_is_the_rule_s() -> None:
    # The parts of "<ox>" by hand: the whole, three characters twice, and four once, which is the whole again.
    signs = np.zeros(LENGTH)
    for part in ("<ox>", "<ox", "ox>", "<ox>"):
        drawn = int.from_bytes(hashlib.shake_256(part.encode()).digest(38), "little")
        signs += [-1 if drawn >> place & 1 else 1 for place in range(LENGTH)]
    vector = character_vector("Ox")
    assert (vector.dtype, vector.shape) == (np.float32, (LENGTH,))
    np.testing.assert_allclose(vector, signs / np.linalg.norm(signs), rtol=1e-6)
    # The same on every machine: the first numbers, as they were when they were first computed.
    np.testing.assert_allclose(character_vector("dog")[:4], (-0.0587896, 0.0195965, 0.0587896, -0.0195965), rtol=1e-5)


def test_names_that_share_parts_are_alike_and_spelling_decides_nothing() -> None:
    assert np.array_equal(character_vector("potted plant"), character_vector(" Potted_Plant"))
    dog, hot_dog, whale = map(character_vector, ("dog", "hot dog", "whale"))
    assert dog @ hot_dog > 0.15 > abs(dog @ whale)
    assert np.linalg.norm(whale) == pytest.approx(1.0)
    with pytest.raises(UsageError, match="no letter"):
        character_vector("--")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Files of the released layout, in which row k has k in every place, and their hashes in place of the release's."""
    monkeypatch.setattr(word_vectors, "cache_folder", lambda: tmp_path)
    made = {}
    for dataset, shipped in shipped_vectors().items():
        rows = 1 + len(class_names(dataset) or ())
        table = np.repeat(np.arange(rows, dtype=np.float32)[:, None], LENGTH, axis=1)
        raw = pickle.dumps(table, protocol=3)
        shipped.path.parent.mkdir(exist_ok=True)
        shipped.path.write_bytes(raw)
        made[dataset] = replace(shipped, size=len(raw), sha256=hashlib.sha256(raw).hexdigest())
    monkeypatch.setattr(word_vectors, "shipped_vectors", lambda: made)
    word_vectors._table.cache_clear()
    yield tmp_path / "word-vectors"
    word_vectors._table.cache_clear()


@pytest.mark.usefixtures("files")
def test_rows_are_those_of_the_data_set_s_labels() -> None:
    for dataset in ("pascal5i", "coco20i"):
        for label, name in enumerate(class_names(dataset) or (), 1):
            assert set(vector_of(name, check_vectors(dataset))) == {label}, name
    # In other spellings, also the release's own.
    for name, label in {"airplane": 1, "Motorcycle": 14, "table": 11, "dining table": 11, "tv": 20}.items():
        assert vector_of(name, "pascal5i")[0] == label
    for name, label in {"aeroplane": 5, "fridge": 73, "cellphone": 68, "tvmonitor": 63, "sofa": 58}.items():
        assert vector_of(name, "coco20i")[0] == label


@pytest.mark.usefixtures("files")
def test_an_unknown_name_is_refused_with_names_that_are_like_it() -> None:
    with pytest.raises(UsageError, match="word vectors of pascal5i: 'aeroplan'; did you mean aeroplane"):
        vector_of("aeroplan", "pascal5i")
    with pytest.raises(UsageError, match="word vectors of pascal5i: 'zebra'; known: aeroplane, bicycle"):
        vector_of("zebra", "pascal5i")
    with pytest.raises(UsageError, match="unknown kind of word vectors 'pascal'; did you mean pascal5i"):
        check_vectors("pascal")


def test_a_file_that_is_missing_or_another_is_told(files: Path) -> None:
    shipped = word_vectors.shipped_vectors()["coco20i"]
    shipped.path.write_bytes(shipped.path.read_bytes()[:-1] + b"\0")
    with pytest.raises(BrokenFileError, match="not the recorded file of word vectors: its sha256"):
        vector_of("dog", "coco20i")
    shipped.path.unlink()
    with pytest.raises(MissingError, match=r"word2vec_coco\.pkl is missing") as told:
        vector_of("dog", "coco20i")
    assert told.value.remedy == "fssbench checkpoints fetch word-vectors-coco20i"
    assert [path.name for path in files.iterdir()] == ["word2vec_pascal.pkl"]
