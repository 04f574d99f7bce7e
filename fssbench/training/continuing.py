"""A training that is continued with more steps than it was begun with: what then depends on its length, and the record.

Everything at a step depends on the step alone, except for what a recipe lets depend on the number of all steps: most
schedules of the learning rate, and ramps. With a constant rate (or one that drops at given steps), a continued training
gives the same tensors as one that was that long from the start. Otherwise the steps that are done keep the rates they
had, the steps to come have those of the longer training, and the weights record the lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from fssbench.errors import UsageError
from fssbench.training.recipe import Ramp, Recipe
from fssbench.training.recorded import recipe_of

_ABSOLUTE = ("constant", "drops")
"""The schedules whose rates do not depend on the number of steps."""


@dataclass(frozen=True)
class Continued:
    """A training that was given more steps.

    Attributes:
        done: Steps that were done before.
        planned: How many it was to have until then.
    """

    done: int
    planned: int

    def __str__(self) -> str:
        return f"{self.done}/{self.planned}"


def history_text(history: Sequence[Continued], steps: int) -> str:
    """Return the record of a continued training, e.g. "100/100 200": after 100 of 100 steps it was given 200."""
    return " ".join((*map(str, history), str(steps)))


def read_history(text: str) -> tuple[Continued, ...]:
    """Return what `history_text` wrote.

    Raises:
        ValueError: If it is none.
    """
    pairs = (word.split("/") for word in text.split()[:-1])
    return tuple(Continued(int(done), int(planned)) for done, planned in pairs)


def continued_from(recorded: object, current: str, done: int, where: str) -> Continued | None:
    """Return how a training is continued with more steps; None if its recipe is the current one, or differs in more.

    Args:
        recorded: The recipe in the training state, as text.
        current: The current recipe, as text.
        done: Steps in the state.
        where: The state, for the message.

    Raises:
        UsageError: If it has fewer steps than the training has already, or was to have.
    """
    then, now = recipe_of(recorded), recipe_of(current)
    if then is None or now is None or then.steps is None or now.steps is None or then.steps == now.steps:
        return None
    if replace(then, steps=now.steps) != now:
        return None
    if now.steps < then.steps:
        raise UsageError(
            f"{where} is the state of a training of {then.steps} steps, of which {done} are done; it can be continued "
            f"with more steps, not with {now.steps}",
            f"--steps {then.steps} or more: it is the number of all steps",
        )
    return Continued(done, then.steps)


def depends_on_length(recipe: Recipe) -> list[str]:
    """Return what of a recipe depends on the number of all steps, in words; nothing if no tensor does."""
    found = []
    if recipe.optimiser.schedule not in _ABSOLUTE:
        found.append(f"the learning rate ({recipe.optimiser.schedule})")
    ramps = [entry.name for entry in fields(recipe) if isinstance(getattr(recipe, entry.name), Ramp)]
    found += [f"the ramp of {name}" for name in ramps]
    if recipe.validation is not None and recipe.validation.choose == "best":
        found.append("which weights are chosen (there was a validation at the former end)")
    return found


def note(recipe: Recipe, continued: Continued, rates: tuple[float, float]) -> str:
    """Return what a continued training is, to be printed.

    Args:
        recipe: The recipe with the new number of steps.
        continued: How it is continued.
        rates: Learning rate of the last step before, and of the first step now.
    """
    steps, done = recipe.steps, continued.done
    begin = f"continued after step {done} of {continued.planned}, to {steps} steps"
    parts = depends_on_length(recipe)
    if not parts:
        return f"{begin}: the same as a training of {steps} steps from the start"
    was, now = rates
    return (
        f"{begin}: not the same as a training of {steps} steps from the start, as {' and '.join(parts)} depends on the "
        f"number of steps. The {done} steps that are done keep what they had, the others have that of {steps} steps; "
        f"the learning rate goes from {was:.3g} to {now:.3g}. The weights record it"
    )
