"""The attacks that a command line asks for."""

import pytest

from gan_cli.commands.attack.asked import attacks
from gan_cli.config.options import CONFIGS
from gan_cli.errors import ConfigError

FGSM = "fgsm:epsilon=0.1:clip=false"


def test_a_list_of_sizes_is_a_curve():
    asked = attacks(["fgsm:epsilon=[0,.05,0.1]:clip=false", "pgd:restarts=10", "rubbish"], [CONFIGS])
    assert [one.name for one in asked] == [
        "fgsm:epsilon=0:clip=false",
        "fgsm:epsilon=0.05:clip=false",
        "fgsm:epsilon=0.1:clip=false",
        "pgd:epsilon=0.3:restarts=10",
        "rubbish",
    ]
    assert [one.curve for one in asked] == ["fgsm:clip=false"] * 3 + ["pgd:restarts=10", "rubbish"]
    assert [one.epsilon for one in asked] == [0, 0.05, 0.1, 0.3, None]


def test_spaces_about_the_parts_are_taken_away():
    spaced, plain = (attacks([text], [CONFIGS]) for text in ("fgsm: epsilon=0.1 : clip=false", FGSM))
    assert [one.name for one in spaced] == [one.name for one in plain] == [FGSM]


def test_a_class_is_called_as_it_is_typed_and_a_size_counted_once():
    texts = ["fgsm:target=01:epsilon=1.0", "fgsm:target='no'", "fgsm:target=null", "transfer:run=2024"]
    named = [(one.node.get("target"), one.node.get("run"), one.epsilon) for one in attacks(texts, [CONFIGS])]
    assert named == [("01", None, 1), ("no", None, 0.25), (None, None, 0.25), (None, "2024", 0.25)]
    with pytest.raises(ConfigError, match="fgsm:epsilon=1 is asked for twice"):
        attacks(["fgsm:epsilon=[1,1.0]"], [CONFIGS])
