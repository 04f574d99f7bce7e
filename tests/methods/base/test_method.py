"""The contract of methods: which names of its steps are accepted."""

from __future__ import annotations

from fssbench.methods.hsnet import HSNet


class Earlier(HSNet):
    """Defines `as_query`, the earlier name of `prepare_query`."""

    def as_query(self, features):
        return super().as_query(features)


class Later(Earlier):
    """Defines it under the new name, in a subclass."""

    def prepare_query(self, features):
        return super().prepare_query(features)


class Mixin:
    """A class that is no `Method`, as a user's own may be."""

    def as_query(self, features):
        return features


class Mixed(Mixin, HSNet):
    """A method by its second base."""


def test_a_class_has_its_query_step_under_both_names() -> None:
    for cls in (HSNet, Earlier, Later, Mixed):
        assert cls.prepare_query is cls.as_query
    assert Earlier.prepare_query is vars(Earlier)["as_query"]
    assert Later.as_query is vars(Later)["prepare_query"]
    assert Mixed.prepare_query is Mixin.as_query
