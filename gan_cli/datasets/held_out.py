"""Test images for data that have one part only."""

import torch

from gan_cli.datasets.base import Images
from gan_cli.randomness import stream


def divided(data: Images, share: float, seed: int) -> tuple[Images, Images]:
    """The images to train on and those to test on: of each class a `share`, and one at the least, is to test on.

    Which they are is a function of `seed`. Raises `ValueError` for a class of fewer than two images.
    """
    assert data.labels is not None
    to_test = torch.zeros(len(data), dtype=torch.bool)
    for label, name in enumerate(data.classes):
        members = (data.labels == label).nonzero()[:, 0]
        if len(members) < 2:
            raise ValueError(f"class {name} has one image, and needs one to train on and one to test on: add some")
        source = torch.Generator().manual_seed(stream(seed, f"test images of class {name}"))
        held = min(len(members) - 1, max(1, round(share * len(members))))
        to_test[members[torch.randperm(len(members), generator=source)[:held]]] = True
    return data.subset((~to_test).nonzero()[:, 0]), data.subset(to_test.nonzero()[:, 0])
