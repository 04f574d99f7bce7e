"""The mutants of a module, made by cosmic-ray's operators: one small change of its source each.

Left out are changes of what nothing evaluates (annotations, imports for them), and those of an operator to one that
means nothing there, such as `+` to `<<`, and of guards that no input reaches (`strict=True` in zip, `frozen=True`, the
`*` before parameters that are given by name, `eq=False` of what is never compared).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.plugins import get_operator

OPERATORS = (
    *("AddNot", "NumberReplacer", "RemoveDecorator", "ZeroIterationForLoop", "ExceptionReplacer"),
    *("ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak"),
    *("ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_USub", "ReplaceUnaryOperator_Delete_Invert"),
    *(
        f"ReplaceBinaryOperator_{pair}"
        for pair in (
            *("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "Div_FloorDiv", "FloorDiv_Div", "FloorDiv_Mul", "Mod_Mul"),
            *("Pow_Mul", "BitAnd_BitOr", "BitOr_BitAnd", "BitXor_BitOr", "LShift_RShift", "RShift_LShift"),
        )
    ),
    *(
        f"ReplaceComparisonOperator_{pair}"
        for pair in (
            *("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Lt_Gt", "Gt_Lt", "LtE_GtE", "GtE_LtE"),
            *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is"),
        )
    ),
)
"""The operators, by cosmic-ray's names."""

GUARDS = ("strict=True", "frozen=True, ", "frozen=True)", "slots=True)", ", *, ", "    *,\n", "eq=False")
"""What is left as it is."""


@dataclass(frozen=True)
class Mutant:
    """A module with one change.

    Attributes:
        line: Number of the changed line.
        before: That line, without the space around it.
        after: The same line, changed.
        source: The whole module.
    """

    line: int
    before: str
    after: str
    source: str


def annotated(source: str) -> set[tuple[int, int]]:
    """Return the places of a module, by line and column, that belong to annotations."""
    found: set[tuple[int, int]] = set()
    for node in ast.walk(ast.parse(source)):
        parts = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        for part in parts:
            if isinstance(part, ast.expr):
                for line in range(part.lineno, (part.end_lineno or part.lineno) + 1):
                    first = part.col_offset if line == part.lineno else 0
                    last = (part.end_col_offset or 0) if line == part.end_lineno else 200
                    found |= {(line, column) for column in range(first, last)}
    return found


def mutants(source: str) -> Iterator[Mutant]:
    """Return every mutant of a module, from top to bottom."""
    tree, left_out, lines = get_ast(source), annotated(source), source.splitlines()
    found: list[Mutant] = []
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")()
        places = [place for node in ast_nodes(tree) for place in operator.mutation_positions(node)]
        for number, (start, _) in enumerate(places):
            if start in left_out or lines[start[0] - 1] == "if TYPE_CHECKING:":
                continue
            try:
                changed = MutationVisitor.mutate_code(source, operator, number)
            except AttributeError:
                if name != "ExceptionReplacer":
                    raise
                continue  # it knows no dotted name, such as `tomllib.TOMLDecodeError`
            if changed is None or changed == source or any(changed.count(one) < source.count(one) for one in GUARDS):
                continue
            # A change may join lines or take one away: the first line that differs is the one that is shown.
            old, new = source.splitlines(), [*changed.splitlines(), ""]
            at = next((i for i, text in enumerate(old) if text != new[min(i, len(new) - 1)]), len(old) - 1)
            before = next(text for text in old[at:] if text.strip())
            found.append(Mutant(at + 1, before.strip(), new[min(at, len(new) - 1)].strip(), changed))
    yield from sorted(found, key=lambda mutant: mutant.line)
