"""Data sets as text."""

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from gan_cli.commands.cas.data import Data, of_config, of_text, of_words, override
from gan_cli.config import options
from gan_cli.errors import ConfigError
from tests.helpers.configs import compose


def test_the_data_of_a_run_are_found_among_the_options():
    config = compose("dataset=mnist", "dataset.classes=[3,7]", "dataset.per_class=50")
    assert of_config(config.dataset) == Data("mnist", (("classes", [3, 7]), ("per_class", 50)))


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "mnist5k", "stacked_mnist"])
def test_an_option_without_changes_is_its_name(name):
    assert of_config(compose(f"dataset={name}", "model=dcgan").dataset) == Data(name)


def test_data_of_no_option_are_not_found():
    config = compose("dataset=mnist")
    config.dataset._target_ = "somewhere.Else"
    assert of_config(config.dataset) is None


@pytest.mark.parametrize(
    "data",
    [
        Data("mnist").having(split="test", per_class=50),
        Data("fashion_mnist").having(classes=["Ankle boot", "T-shirt/top"]),
        Data("mnist").having(classes=[3, 7]),
    ],
    ids=str,
)
def test_text_and_overrides_hold_the_same_data(data):
    assert options.option("dataset", data.text) == data.node()
    values: dict[str, Any] = {
        part.key_or_group: part.value() for part in OverridesParser.create().parse_overrides(data.overrides())
    }
    assert str(values.pop("dataset")) == data.name
    for key, value in data.values:
        given = values[f"dataset.{key}"]
        assert (list(map(str, given)) == list(map(str, value))) if isinstance(value, list) else str(given) == str(value)


@pytest.mark.parametrize("text", ["generated:run=/a b/x=1,y={2}:n=3", 'a"b', "3", "mnist"])
def test_hydra_reads_quoted_text_as_it_was(text):
    (parsed,) = OverridesParser.create().parse_overrides([override("key", text)])
    assert str(parsed.value().text if hasattr(parsed.value(), "text") else parsed.value()) == text


def test_words_change_the_default_or_choose_other_data():
    default = Data("mnist", (("classes", [3, 7]),))
    assert of_words([], default) is default
    assert of_words(["dataset.per_class=9"], default) == default.having(per_class=9)
    assert of_words(["dataset=folder", "dataset.path=/a b"], default) == Data("folder", (("path", "/a b"),))
    assert of_words(["dataset=folder:path=/x"], None).node().path == "/x"
    assert of_words(["dataset.per_class=9"], None) is None
    assert of_words(["dataset.split="], Data("mnist")) == Data("mnist")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dataset=mnst"], "^dataset=mnst is not a dataset: did you mean mnist"),
        (["dataset.splt=test"], "did you mean split"),
        (["dataset=mnist:split"], "^dataset=mnist: split has no value: write split=…"),
        (["dataset.split=test", "dataset.split=train"], "^dataset=mnist: split is given twice: leave one out"),
        (["dataset.classes=[3"], "cannot be read"),
        (["dataset=mnist", "dataset=mnist5k"], "twice"),
    ],
)
def test_words_that_name_no_data_are_refused(words, said):
    with pytest.raises(ConfigError, match=said):
        of_words(words, Data("mnist"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mnst:split=test", "^test.data=mnst is not a dataset: did you mean mnist"),
        ("mnist:splt=test", "^test.data=mnist: splt is not a key of it: did you mean split"),
        ("mnist:split=test:split=train", "^test.data=mnist: split is given twice: leave one out"),
    ],
)
def test_text_that_names_no_data_is_refused_with_its_key(text, said):
    with pytest.raises(ConfigError, match=said):
        of_text(text, "test.data")


def test_a_colon_cannot_be_passed_on():
    assert of_text("mnist:split=test", "test.data").text == "mnist:split=test"
    with pytest.raises(ConfigError, match="rename"):
        _ = Data("folder").having(path="a:b").text
