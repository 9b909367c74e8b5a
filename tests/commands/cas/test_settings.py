"""How much gan-cas trains."""

from dataclasses import fields

import pytest

from gan_cli.commands.cas.settings import FewShot, Settings, read
from gan_cli.config import options
from gan_cli.errors import ConfigError


def test_the_default_is_the_standard():
    assert read([]) == read(["cas=standard"])


def test_every_option_has_five_seeds_at_50_real_images_a_class():
    assert set(options.names("cas")) == {"quick", "standard", "full"}
    for name in options.names("cas"):
        few = read([f"cas={name}"]).few_shot
        assert few.seeds >= 5
        assert 50 in few.per_class


def test_values_are_set_in_any_place():
    found = read(["cas.seeds=7", "cas=quick", "cas.ratios=[1,4]", "cas.few_shot.per_class=[]", "cas.workers=null"])
    assert (found.seeds, found.ratios, found.few_shot.per_class, found.workers) == (7, (1.0, 4.0), (), None)
    assert found.images_seen == read(["cas=quick"]).images_seen


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("cas=quik", "cas=quik is not an option: did you mean quick"),
        ("cas.sed=3", "did you mean seeds"),
        ("cas.few_shot.seds=3", "did you mean seeds"),
        ("cas.few_shot=3", "must be a mapping"),
        ("cas.few_shot.seeds=4", "cas.few_shot.seeds=4 must be at least 5"),
        ("cas.few_shot.share=1", "cas.few_shot.share=1 must be below 1"),
        ("cas.ratios=[0]", "cas.ratios[0]=0 must be above 0"),
        ("cas.ratios=[-1.5]", "must be above 0"),
        ("cas.ratios=[1000]", "must be at most 100"),
        ("cas.ratios=1", "such as [1]"),
        ("cas.ratios=[1,1]", "holds 1.0 twice"),
        ("cas.synthetic=[0]", "must be at least 1"),
        ("cas.few_shot.per_class=[50,50]", "holds 50 twice"),
        ("cas.seeds=0", "must be at least 1"),
        ("cas.seeds=many", "must be a whole number"),
        ("cas.seeds=[1", "cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(word, said):
    with pytest.raises(ConfigError) as error:
        read([word])
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_option_given_twice_is_refused():
    with pytest.raises(ConfigError, match="twice"):
        read(["cas=quick", "cas=full"])


def test_every_option_has_every_key_with_its_type():
    keys = {option.name for option in fields(Settings)}
    for name in options.names("cas"):
        node = options.option("cas", name)
        assert set(node) == keys
        assert set(node.few_shot) == {option.name for option in fields(FewShot)}
