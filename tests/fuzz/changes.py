"""Changes that make a valid file invalid: bytes, pieces of text, numbers and structure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from hypothesis import strategies as st

_LITERAL = re.compile(rb'-?\d+(?:\.\d+)?|"[^"\n]*"|true|false|null')
_HOSTILE = (
    *(b"-1", b"0", b"255", b"256", b"65536", b"1e999", b"-1e999", b"1e-999", b"NaN", b"Infinity", b"nan", b"inf"),
    *(b"9223372036854775808", b"18446744073709551616", b"1" * 400, b"1" * 5000, b"0.5", b"1.5e300", b"-0"),
    *(b'""', b'"../../x"', b'"/etc/passwd"', b'"\\ud800"', b'"\\u0000"', b'"\\u001b[2J"', b'"\\u202e"', b'"=1+1"'),
    *(b"null", b"true", b"[]", b"{}", b"[[]]", b'{"a":1}', b"[" * 3000, b'{"a":' * 3000, b"[" * 500 + b"]" * 500),
    *(b"\xff\xfe", b"\x00", b"\r", b"\n", b",", b'"', b"\\", b"}", b"]", b"=", b"[x]\n", b"\xed\xa0\x80"),
    *(b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\xff" * 8, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"),
)
"""What stands where a valid value was."""
_KINDS = ("literal", "replace", "insert", "delete", "repeat", "cut")


@dataclass(frozen=True)
class Change:
    """One change of a file.

    Attributes:
        kind: What is done.
        place: Where, as a share of the file, or of its literals.
        length: How many bytes.
        content: What is written.
    """

    kind: str
    place: float
    length: int
    content: bytes

    def apply(self, raw: bytes) -> bytes:
        """Return the changed content of a file."""
        start = int(self.place * len(raw))
        end = start + self.length
        if self.kind == "literal":
            found = list(_LITERAL.finditer(raw))
            if not found:
                return raw
            start, end = found[int(self.place * len(found))].span()
            return raw[:start] + self.content + raw[end:]
        return {
            "replace": raw[:start] + self.content + raw[start + len(self.content) :],
            "insert": raw[:start] + self.content + raw[start:],
            "delete": raw[:start] + raw[end:],
            "repeat": raw[:end] + raw[start:end] * 3 + raw[end:],
            "cut": raw[:start],
        }[self.kind]


CHANGES = st.lists(
    st.builds(
        Change,
        st.sampled_from(_KINDS),
        st.floats(0, 1, exclude_max=True),
        st.integers(1, 64),
        st.one_of(st.sampled_from(_HOSTILE), st.binary(min_size=1, max_size=8)),
    ),
    min_size=1,
    max_size=5,
)
"""One to five changes."""


def random_change(chance: Random) -> Change:
    """Return a change of the same kinds, for a fuzzer that draws by itself."""
    content = chance.choice(_HOSTILE) if chance.random() < 0.5 else chance.randbytes(chance.randint(1, 8))
    return Change(chance.choice(_KINDS), chance.random(), chance.randint(1, 64), content)


def changed(raw: bytes, changes: list[Change]) -> bytes:
    """Return the content of a file after all changes."""
    for change in changes:
        raw = change.apply(raw)
    return raw
