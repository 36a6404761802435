from typing import Any, ClassVar, Literal

import pytest

from nnzoo.errors import InputError
from nnzoo.parameters import check_options, inactive_options, parameters_of, same_value, switched_off


class Base:
    acts_with: ClassVar = {"momentum": ("optimizer", ["sgd"])}

    def __init__(self, *, lr: float = 0.1, optimizer: Literal["adamw", "sgd"] = "adamw", momentum: float = 0.9) -> None:
        pass


class Model(Base):
    acts_with: ClassVar = {"depth": ("kind", ["deep", "deeper"]), "sizes": ("kind", ["flat"])}

    def __init__(self, *, kind: Literal["flat", "deep", "deeper"] = "flat", depth: int | None = None,
                 sizes: tuple[int, ...] = (8, 8), **shared: Any) -> None:  # fmt: skip
        super().__init__(**shared)


class Fixed(Model):
    def __init__(self, *, width: int = 3, **shared: Any) -> None:
        super().__init__(kind="deep", **shared)


def test_parameters_of_the_bases_are_found_with_defaults_and_types_unless_a_constructor_fixes_them():
    found = parameters_of(Fixed)
    assert set(found) == {"width", "depth", "sizes", "lr", "optimizer", "momentum"}
    assert (found["depth"].default, found["depth"].annotation) == (None, int | None)
    assert (found["lr"].default, found["lr"].annotation) == (0.1, float)
    assert "kind" in parameters_of(Model)


DEFAULTS = {name: parameter.default for name, parameter in parameters_of(Model).items()}


def test_options_act_under_some_choices_of_their_own_class_and_of_its_bases():
    assert set(inactive_options(Model, DEFAULTS)) == {"momentum", "depth"}
    assert set(inactive_options(Model, DEFAULTS | {"kind": "deep", "optimizer": "sgd"})) == {"sizes"}
    assert set(inactive_options(Model, {"kind": "deep"})) == {"sizes"}, "what has no such choice is passed over"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"depth": 3}, r"depth does nothing with kind flat: leave it out, or set --model.kind deep or deeper\."),
        ({"momentum": 0.5}, "momentum does nothing with optimizer adamw"),
        ({"kind": "deep", "sizes": [4]}, "sizes does nothing with kind deep"),
        ({"kind": "deep", "depth": 3}, None),
        ({"kind": "deep", "sizes": [8, 8]}, None),
        ({"depth": None, "momentum": 0.9}, None),
    ],
)
def test_an_option_that_cannot_act_is_refused_unless_it_has_its_default(changed, says):
    if says is None:
        check_options(Model, DEFAULTS | changed, "model")
    else:
        with pytest.raises(InputError, match=says):
            check_options(Model, DEFAULTS | changed, "model")


def test_only_a_recipes_own_values_are_switched_off():
    own = [{"sizes": [4, 4], "depth": None}, {"sizes": (2,)}]
    assert switched_off(Model, {"kind": "deep", "sizes": [4, 4]}, own) == {"sizes": (8, 8)}
    assert switched_off(Model, {"kind": "deep", "sizes": [2]}, own) == {"sizes": (8, 8)}
    assert switched_off(Model, {"kind": "deep", "sizes": [5]}, own) == {}, "a user's own stays, and is refused"
    assert "sizes" not in switched_off(Model, {"kind": "flat", "sizes": [4, 4]}, own)


def test_lists_and_tuples_are_compared_by_their_entries():
    assert same_value((1, 2), [1, 2])
    assert not same_value((1, 2), [2, 1])
    assert not same_value("ab", ["a", "b"])
