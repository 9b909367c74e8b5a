"""What studies of a Gaussian that is fitted to data on the line ask of their members."""

from collections.abc import Mapping

from gan_cli.datasets.base import Density
from gan_cli.jobs import GameJob
from gan_cli.models.toys import GaussianGenerator


def check(members: Mapping[str, GameJob]) -> None:
    """Raise `ValueError` for a member without known data on the line, or whose generator is no Gaussian."""
    for name, member in members.items():
        if not isinstance(member.dataset, Density) or member.dataset.sample_shape != (1,):
            raise ValueError(f"{name} must have data on the line, such as dataset=mixture1d")
        if not isinstance(member.state.generator, GaussianGenerator):
            raise ValueError(f"{name} must have model=gaussian")
