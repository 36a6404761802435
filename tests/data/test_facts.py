from functools import cached_property

import pytest

from nnzoo.data.facts import Facts, fact, facts_of, held


class Base:
    calls = 0

    @fact
    def classes(self):
        """Names."""
        type(self).calls += 1
        return ["a", "b"]

    @held("set --data.size to match")
    def size(self):
        """Size."""
        return 3

    @cached_property
    def private_to_data(self):
        return 1

    @fact
    def unknown(self):
        """Not for all."""
        return 0


class Derived(Base):
    size = 4  # no fact any more

    @held("give the same classes")
    def classes(self):
        """Names, held."""
        return ["c"]

    @fact
    def further(self):
        """More."""
        raise AssertionError("must not be asked for")


def test_facts_are_found_by_walking_the_class_and_overriding_counts():
    assert {name: known.remedy for name, known in facts_of(Base).items()} == {
        "classes": None, "size": "set --data.size to match", "unknown": None}  # fmt: skip
    assert {name: known.remedy for name, known in facts_of(Derived).items()} == {
        "classes": "give the same classes", "unknown": None, "further": None}  # fmt: skip


def test_a_fact_is_found_out_once_and_only_when_asked_for():
    data = Base()
    Base.calls = 0
    facts = Facts(data)
    assert Base.calls == 0
    assert facts["classes"] is data.classes is facts["classes"]
    assert Base.calls == 1
    assert Facts(Derived()).get("classes") == ["c"]


def test_data_that_are_not_ours_have_no_facts():
    for data in (object(), None):
        assert dict(Facts(data)) == {}
        assert Facts(data).get("classes", ()) == ()
    with pytest.raises(KeyError):
        Facts(Base())["private_to_data"]
