"""Names of torchvision's data sets in any case, and for those that cannot be had what to choose instead."""

from collections.abc import Collection
from difflib import get_close_matches

from torchvision import datasets

from gan_cli.datasets import torchvision_files, torchvision_tensors
from gan_cli.errors import did_you_mean

ELSEWHERE = {
    "MNIST": "dataset=mnist",
    "FashionMNIST": "dataset=fashion_mnist",
    **{name: f"dataset=torchvision dataset.name={name}" for name in torchvision_tensors.SETS},
    **{name: f"dataset=torchvision_images dataset.name={name}" for name in torchvision_files.SETS},
}
"""The options that read other data sets."""


def listed(name: str, here: Collection[str]) -> str:
    """A name as it stands among those that can be had here. Raises `ValueError` for others."""
    known = {each.casefold(): each for each in (*datasets.__all__, *ELSEWHERE, *here)}
    found = known.get(name.casefold())
    if found in here:
        return str(found)
    if variants := [each for each in here if each.casefold().startswith(f"{name.casefold()}-")]:
        raise ValueError(f"name={name} has variants: choose one of {', '.join(variants)}")
    if found in ELSEWHERE:
        raise ValueError(f"name={name} is read by another option: choose {ELSEWHERE[found]}")
    if found is not None:
        raise ValueError(
            f"name={name} is not among those that can be read, {', '.join(here)}: save its pictures in a folder and"
            " choose dataset=folder, or in an array and choose dataset=array"
        )
    folded = {each.casefold(): each for each in here}
    nearest = get_close_matches(name.casefold(), folded, n=1)
    misspelt = folded[nearest[0]] if nearest else name
    raise ValueError(f"name={name} is not a data set of torchvision: {did_you_mean(misspelt, here)}")
