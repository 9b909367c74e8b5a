"""Remedies name the options that there are."""

import pytest

from gan_cli.config.build import naming
from gan_cli.config.remedies import choices
from gan_cli.datasets.base import Density, Images
from gan_cli.datasets.mixtures import Grid, Ring, SwissRoll
from gan_cli.divergences.penalties import R1
from gan_cli.errors import ConfigError, NeedsError


def test_the_options_whose_class_fits_are_named():
    assert choices("dataset", lambda of: issubclass(of, Ring)) == "dataset=ring"
    assert choices("dataset", lambda of: of in (Grid, Ring, SwissRoll)) == "dataset=grid, ring or swiss_roll"
    assert "mnist5k" in choices("dataset", lambda of: issubclass(of, Images))
    assert "swiss_roll" in choices("dataset", lambda of: issubclass(of, Density))
    assert choices("divergence/penalty", lambda of: of is R1) == "divergence/penalty=r1 or r1_weak"


def test_the_gate_adds_them_to_what_a_part_needs():
    with pytest.raises(ConfigError, match=r"^metric\.x: needs a ring: choose dataset=ring$"), naming("metric.x"):
        raise NeedsError("needs a ring", "dataset", lambda of: issubclass(of, Ring))
