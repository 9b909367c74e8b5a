"""Errors of data name the key that the data are of."""

import pytest

from gan_cli.config.parts import data_of
from gan_cli.errors import ConfigError

MESSAGES = {
    "dataset.path=photos does not exist: name the folder": "test.data.path=photos does not exist: name the folder",
    "dataset.split=test: a/dataset.zip has no test/": "test.data.split=test: a/dataset.zip has no test/",
    "dataset.path=dataset.d=1 holds nothing": "test.data.path=dataset.d=1 holds nothing",
    "a.png is damaged: or set dataset.on_bad_image=skip": "a.png is damaged: or set test.data.on_bad_image=skip",
    "path=a.csv is a table: choose dataset=points dataset.path=a.csv, or mend it": (
        "path=a.csv is a table: choose test.data='points:path=a.csv', or mend it"
    ),
    "no network: choose dataset=mnist5k": "no network: choose test.data=mnist5k",
    "dataset has no labels": "dataset has no labels",
}


@pytest.mark.parametrize("message", MESSAGES)
def test_errors_of_data_elsewhere_name_their_key(message: str) -> None:
    for key, expected in (("dataset", message), ("test.data", MESSAGES[message])):
        with pytest.raises(ConfigError) as caught, data_of(key):
            raise ConfigError(message)
        assert str(caught.value) == expected
