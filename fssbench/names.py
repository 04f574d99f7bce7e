"""Names as papers write them: "PASCAL-5^i", "ResNet-50" and "HSNet" are pascal5i, resnet50 and hsnet."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from fssbench.errors import UsageError


def folded(name: str) -> str:
    """Return what two spellings of a name have in common: its letters and digits, in small letters.

    Examples:
        >>> folded("PASCAL-$5^i$"), folded("ResNet-50"), folded("COCO-20ⁱ")
        ('pascal5i', 'resnet50', 'coco20i')
    """
    return "".join(char for char in unicodedata.normalize("NFKC", name).casefold() if char.isalnum())


def known_name(kind: str, name: str, known: Iterable[str], titles: Mapping[str, str] | None = None) -> str | None:
    """Return the known name that a spelling stands for; None if it stands for none.

    Args:
        kind: The kind of the name, for the message, e.g. "method".
        name: What was typed.
        known: All known names.
        titles: How papers write some of them, by name.

    Raises:
        UsageError: If it stands for several.
    """
    names = list(known)
    if name in names:
        return name
    key = folded(name)
    found = [one for one in names if key and folded(one) == key]
    if not found:
        found = [one for one, title in (titles or {}).items() if key and one in names and folded(title) == key]
    if len(found) > 1:
        both = " or ".join(sorted(found))
        raise UsageError(f"the {kind} '{name}' can be {both}", f"type one of them as it is written here: {both}")
    return found[0] if found else None
