"""`--compile-heads`: what is compiled, how often, what is on record, and what happens to heads that can't be."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.engine import compiled_heads, folds
from fssbench.engine.compiled_heads import MOST_SHAPES, CompiledStep, by_torch, compiled_head
from fssbench.errors import UsageError
from fssbench.fast.form import fast_form
from fssbench.fast.pytree import tensors_of
from fssbench.layers import devices
from fssbench.methods.catalogue import method_info
from fssbench.planning.settings import Settings
from fssbench.registry import imported
from fssbench.results import load_run
from fssbench.results.continues import check_continues
from fssbench.results.differences import first_difference
from tests.engine.stub import NearestColour, Patches, questions, rules
from tests.methods.narrow import SIDE, narrow

CPU = torch.device("cpu")
pytestmark = [
    # torch's compiler uses what torch itself has given up.
    pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning"),
    # Where a test before has switched its caches off.
    pytest.mark.filterwarnings("ignore:dynamo_pgo force disabled:UserWarning"),
]

Step = Callable[..., Any]


class Doubling(NearestColour):
    """Has a step of fixed shapes."""

    fixed_shapes = ("condition",)


class Noting:
    """In place of a compiler; keeps the shapes of the calls of each step."""

    def __init__(self) -> None:
        self.steps: list[list[tuple[int, ...]]] = []

    def __call__(self, step: Step) -> Step:
        calls: list[tuple[int, ...]] = []
        self.steps.append(calls)

        def noted(*given: Any) -> Any:
            calls.append(tuple(tensors_of(given)[0].shape))
            return step(*given)

        return noted


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings, without what torch's compiler notes."""
    return [record.getMessage() for record in caplog.records if record.name == compiled_heads.__name__]


def halved(x: Tensor) -> dict[str, Tensor]:
    return {"half": x / 2}


def test_a_step_is_compiled_for_shapes_that_come_again_and_not_for_more_than_a_few() -> None:
    noting = Noting()
    step = CompiledStep("a step", halved, noting)
    for size in (8, 8, 8, 3, 8, 5):
        assert torch.equal(step(torch.ones(size))["half"], torch.full((size,), 0.5))
    (calls,) = noting.steps
    assert calls == [(8,)] * 3, "neither the first call nor the rest of a list, which fills no batch"
    for size in [*range(10, 20)] * 2:
        step(torch.ones(size))
    assert len(set(calls)) == MOST_SHAPES


def test_torch_compiles_once_for_each_shape_and_for_each_form() -> None:
    torch.compiler.reset()
    made: list[object] = []

    def backend(graph: torch.fx.GraphModule, given: object) -> Step:
        made.append(given)
        return graph.forward

    compile_step = partial(torch.compile, fullgraph=True, dynamic=False, backend=backend)
    # More forms than torch compiles one function for.
    forms = [CompiledStep("a step", halved, compile_step) for _ in range(torch._dynamo.config.recompile_limit + 1)]
    for form in forms:
        for size in (4, 4, 4, 2, 4):
            assert torch.equal(form(torch.ones(size))["half"], torch.full((size,), 0.5))
    assert len(made) == len(forms)


def test_results_are_in_memory_of_their_own() -> None:
    kept = torch.zeros(3)
    step = CompiledStep("a step", lambda x: kept, lambda call: call)
    assert [step(torch.ones(3)) is kept for _ in range(3)] == [True, False, False]
    assert step(torch.ones(3)).data_ptr() != kept.data_ptr()


def test_a_step_that_torch_cannot_compile_is_computed_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    def by_values(x: Tensor) -> Tensor:
        return x * 2 if float(x.sum()) > 0 else x

    compile_step = partial(torch.compile, fullgraph=True, backend="eager")
    step = CompiledStep("predict of oslsm", by_values, compile_step)
    with caplog.at_level(logging.WARNING):
        assert [step(torch.ones(2)).tolist() for _ in range(4)] == [[2.0, 2.0]] * 4
    (line,) = warned(caplog)
    assert line.startswith("--compile-heads: torch can't compile predict of oslsm, which is computed without it: ")


def test_an_error_of_the_step_itself_stays_one() -> None:
    def refusing(x: Tensor) -> Tensor:
        raise UsageError("images of this size")

    step = CompiledStep("a step", refusing, lambda call: call)
    for _ in range(2):
        with pytest.raises(UsageError, match="images of this size"):
            step(torch.ones(2))


HEADS = ("hsnet", "asnet", "pfenet", "bam", "mianet")


def test_the_documentation_names_the_heads_that_have_such_parts() -> None:
    forms: dict[str, Any] = {
        name: imported(fast) for name in fssbench.list_methods() if (fast := method_info(name).fast)
    }
    assert {name for name, form in forms.items() if form.fixed_shapes} == set(HEADS)
    text = (Path(fssbench.__file__).parents[1] / "docs" / "scale.md").read_text(encoding="utf-8")
    (section,) = [part for part in text.split("\n### ") if part.startswith("Compiled heads")]
    assert all(f"`{name}`" in section.split("\n\n")[1] for name in HEADS)


@pytest.mark.parametrize("name", HEADS)
def test_heads_are_compiled_and_predict_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "SERIAL_ON", frozenset())  # as on a graphics card
    noting = Noting()
    form = fast_form(narrow(name, next(iter(method_info(name).tasks)), 1, 1))
    compiled = compiled_head(form, noting)
    side = 192 if name == "asnet" else SIDE
    image, mask = torch.randn(1, 3, side, side), torch.zeros(1, side, side, dtype=torch.uint8)
    mask[:, 30:90, 40:110] = 1
    with torch.inference_mode():
        support = form.condition(form.encode(image), mask)
        episodes = [form.prepare_query(form.encode(image))] * 2, [[[support]]] * 2, [(40, 61), (51, 43)]
        expected = form.predict_many(*episodes)
        for _ in range(2):
            found = compiled.predict_many(*episodes)
            assert all(torch.equal(one.logits, other.logits) for one, other in zip(found, expected, strict=True))
    assert len(noting.steps) == len(form.fixed_shapes)
    assert all(len(calls) == 1 for calls in noting.steps), "the second call of each"
    assert type(compiled) is type(form)


def test_a_form_without_fixed_shapes_is_unchanged_and_named(caplog: pytest.LogCaptureFixture) -> None:
    method = fssbench.build("panet", "small")
    form = fast_form(method)
    with caplog.at_level(logging.WARNING):
        assert compiled_head(form, Noting()) is form
    assert warned(caplog) == [
        "--compile-heads: the head of panet has no part of fixed shapes, and is computed without it"
    ]


def test_it_is_on_record_and_the_rows_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "SERIAL_ON", frozenset())
    noting = Noting()
    monkeypatch.setattr(folds, "compiled_head", partial(compiled_head, compile_step=noting))
    episodes = questions(count=6)
    settings = Settings(compiled_heads=True, workers=0)
    found = fssbench.evaluate(
        Doubling(), Patches(), episodes, protocol=rules(), settings=settings, out=tmp_path / "run"
    )
    assert noting.steps[0]
    stored = load_run(tmp_path / "run").run
    assert stored.starts[-1].computed == ("compiled_heads",)
    other = replace(stored, starts=(replace(stored.starts[-1], computed=("compiled",)),))
    assert first_difference(stored, stored) is None
    assert first_difference(other, other) is None
    assert first_difference(stored, replace(stored, starts=())) is None, "as where nothing is to be computed"
    with pytest.raises(UsageError, match="its --compile-heads is True, this command's is False"):
        check_continues(tmp_path / "run", other)
    usual = fssbench.evaluate(Doubling(), Patches(), episodes, protocol=rules())
    columns = ["intersection", "union"]
    assert found.frame[columns].equals(usual.frame[columns])


def test_a_processor_refuses_it() -> None:
    with pytest.raises(UsageError, match="--compile-heads is for graphics cards") as refused:
        fssbench.evaluate(
            Doubling(), Patches(), questions(count=2), protocol=rules(), settings=Settings(compiled_heads=True)
        )
    assert refused.value.remedy == "leave it out"


def test_cuda_graphs_are_what_torch_is_told_to_make(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, object] = {}

    def compile_as(step: Step, **options: object) -> Step:
        told.update(options)
        return step

    monkeypatch.setattr(torch, "compile", compile_as)
    assert by_torch(halved) is halved
    assert told == {"fullgraph": True, "dynamic": False, "mode": "reduce-overhead"}
