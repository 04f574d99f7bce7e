"""The public Python surface that scripts rely on, and what the tree must never hold."""

from __future__ import annotations

import doctest
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fssbench
from fssbench import errors

REPOSITORY = Path(__file__).resolve().parent.parent

PUBLIC = [
    "Episode",
    "EpisodeList",
    "FSSBenchError",
    "__version__",
    "build",
    "episodes",
    "evaluate",
    "list_datasets",
    "list_methods",
    "list_protocols",
    "load",
    "load_release",
    "open_dataset",
    "plan",
    "published",
    "segment",
    "summarise",
]

CALLS = {
    "a method": ("build", ("hsnet",), {"backbone": "resnet50"}),
    "a form of it": (
        "build",
        ("asnet",),
        {"backbone": "resnet50", "variant": "fscs", "way": 2, "shot": 1, "weak": True},
    ),
    "weights": ("load_release", ("method", "state_dict"), {}),
    "a trained method": (
        "load",
        ("hsnet", "pascal5i", 0),
        {"variant": None, "backbone": "resnet50", "checkpoint": None, "device": "cpu"},
    ),
    "methods": ("list_methods", (), {}),
    "data sets": ("list_datasets", (), {}),
    "protocols": ("list_protocols", (), {}),
    "a data set": ("open_dataset", ("pascal5i",), {"root": "VOC2012"}),
    "its options": ("open_dataset", ("coco20i",), {"root": None, "labels": "pycocotools"}),
    "episodes": ("episodes", ("dataset",), {"fold": 0, "way": 1, "shot": 5, "protocol": "hsnet", "count": 1000}),
    "an evaluation": ("evaluate", ("method", "dataset", "episodes"), {}),
    "a summary": ("summarise", ("frame",), {}),
    "a number of episodes": ("plan", ("results", "other"), {"detect": 1.0, "power": 0.8, "alpha": 0.05}),
    "printed numbers": ("published", (), {}),
    "photos": ("segment", ("query.jpg", ["a.jpg"], ["a.png"], ["dog"]), {"method": "prototype", "backbone": "small"}),
}


def test_the_public_names_are_these() -> None:
    assert sorted(fssbench.__all__) == sorted(PUBLIC)
    assert dir(fssbench) == sorted(PUBLIC)


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "__version__"])
def test_a_public_name_is_there_typed_and_explained(name: str) -> None:
    value = getattr(fssbench, name)
    assert value.__name__ == name
    assert (inspect.getdoc(value) or "").partition("\n")[0].endswith(".")
    if inspect.isfunction(value):
        signature = inspect.signature(value)
        assert signature.return_annotation is not inspect.Signature.empty
        for parameter in signature.parameters.values():
            assert parameter.annotation is not inspect.Parameter.empty
            assert parameter.annotation != "Any" or parameter.kind is inspect.Parameter.VAR_KEYWORD
            # Every argument is explained where there are several.
            assert len(signature.parameters) == 1 or f"{parameter.name}:" in (inspect.getdoc(value) or "")


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "__version__"])
def test_a_public_name_has_an_example_that_runs(name: str) -> None:
    # `make test` runs it as a doctest.
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(getattr(fssbench, name)) or "")
    assert examples[0].source == "import fssbench\n"
    assert any(f"fssbench.{name}" in example.source for example in examples)
    assert examples[-1].want


@pytest.mark.parametrize(("name", "positional", "named"), CALLS.values(), ids=CALLS.keys())
def test_the_calls_of_scripts_fit(name: str, positional: tuple[str, ...], named: dict[str, object]) -> None:
    inspect.signature(getattr(fssbench, name)).bind(*positional, **named)


def test_a_star_import_gives_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from fssbench import *", names)  # noqa: S102 - the project's own text
    assert {name for name in names if name != "__builtins__"} == set(PUBLIC)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'evaluates'"):
        _ = fssbench.evaluates


def test_the_tree_of_errors_is_written_down() -> None:
    classes = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, Exception)]
    tree = inspect.getdoc(errors) or ""
    drawn = {match[1]: match[2] for match in re.finditer(r"^[├└]── (\w+) .*?(?:\(exit (\d)\))?$", tree, re.MULTILINE)}
    assert set(drawn) == {cls.__name__ for cls in classes} - {"FSSBenchError"}
    for cls in classes:
        assert issubclass(cls, errors.FSSBenchError)
        assert cls.__doc__
        assert drawn.get(cls.__name__, "2") == str(cls.exit_code)


def test_an_error_is_also_what_python_users_expect() -> None:
    assert issubclass(errors.UsageError, ValueError)
    assert issubclass(errors.MissingError, FileNotFoundError)
    assert str(errors.MissingError("no x", "make x")) == "no x\n  try: make x"


OWN_HIDDEN = {".ci", ".github", ".editorconfig", ".pre-commit-config.yaml"}


def files() -> Iterator[Path]:
    """All files of the project, whatever made them: this needs no git, so it also holds in a source archive."""
    made = {"__pycache__", "dist", "build", "runs", "fssbench.egg-info"}
    for path in sorted(REPOSITORY.rglob("*")):
        parts = path.relative_to(REPOSITORY).parts
        hidden = any(part.startswith(".") and part not in OWN_HIDDEN for part in parts)
        if path.is_file() and not hidden and not made.intersection(parts):
            yield path


FINDINGS = REPOSITORY / "tests" / "fuzz" / "findings"


def texts(*suffixes: str) -> Iterator[tuple[Path, str]]:
    for path in files():
        if path.suffix in suffixes:
            # What once broke a reader is no text.
            errors = "replace" if FINDINGS in path.parents else "strict"
            yield path.relative_to(REPOSITORY), path.read_text(encoding="utf-8", errors=errors)


def lines_with(pattern: str, *suffixes: str) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()}"
        for path, text in texts(*suffixes)
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]


TEXT = (".py", ".toml", ".md", ".txt", ".json", ".csv", ".yaml", ".yml", ".cff", "")


def test_no_photo_is_in_the_tree() -> None:
    assert [str(path) for path in files() if path.suffix.lower() in (".jpg", ".jpeg", ".tif", ".tiff", ".bmp")] == []


def test_no_folder_of_a_machine_is_in_the_tree() -> None:
    home = r"(?<![\w.])/(home|Users|root|mnt|work|workspace)/\w"
    assert lines_with(home, *TEXT) == []


def test_nothing_foreign_is_unpickled() -> None:
    unsafe = lines_with(r"\bpickle\.load[s]?\(|allow_pickle=(True)|weights_only=(False)|\btorch\.load[(]", ".py")
    ours = [line for line in unsafe if line.startswith("fssbench/")]
    assert [line for line in ours if "weights_only=True" not in line] == []


def test_nothing_is_left_for_later() -> None:
    later = r"\b(TOD[O]|FIXM[E]|XX[X])\b|raise NotImplemented[E]rror|mark\.xfai[l]"
    silenced = r"# no[q]a(?!:)|type: ignor[e](?!\[)"
    assert lines_with(f"{later}|{silenced}", ".py") == []


def test_the_tree_is_small() -> None:
    large = {str(path): path.stat().st_size for path in files() if path.stat().st_size > 4 << 20}
    assert large == {}
    weights = [path.stat().st_size for path in files() if path.suffix == ".safetensors"]
    assert sum(weights) < 18_000_000
