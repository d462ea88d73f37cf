"""Every seam: members are found by file name, described, and readable back from what they write."""

import inspect

import pytest
from pydantic_core import PydanticUndefined

from bench.contracts import registry
from bench.search.settings import fields

MEMBERS = [(seam, name) for seam in registry.SEAMS for name in registry.names(seam)]
REQUIRED = {"root": "somewhere", "path": "t.csv", "column": "cifar10_test_200", "epochs": 1}


@pytest.mark.parametrize(("seam", "name"), MEMBERS)
def test_members_are_described_and_survive_writing(seam, name):
    member = registry.load(seam, name)
    assert member.name == name
    assert inspect.getdoc(member) and len(member.summary()) > 15
    required = {
        field: REQUIRED[field]
        for field, info in member.model_fields.items()
        if info.is_required() and info.default is PydanticUndefined
    }
    made = registry.parse(seam, {"name": name, **required})
    assert registry.parse(seam, registry.dump(made)) == made
    assert len(fields(member)) == len(member.model_fields)


def test_unknown_names_are_answered_with_the_closest():
    with pytest.raises(registry.UnknownMemberError, match="did you mean 'skip_dropout'"):
        registry.load("variants", "skip_droput")
    with pytest.raises(registry.UnknownMemberError, match="known: "):
        registry.load("spaces", "qqqq")
    with pytest.raises(registry.UnknownMemberError):
        registry.load("variants", "../os")


@pytest.mark.parametrize("value", [3, None, [], {}, {"name": 3}])
def test_what_is_no_reference_is_refused(value):
    with pytest.raises(ValueError):
        registry.parse("variants", value)
