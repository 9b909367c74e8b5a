"""What several metrics ask of the data."""

from gan_cli.datasets.base import Dataset, Images, InMemory
from gan_cli.errors import NeedsError


def needs_images(dataset: Dataset) -> Images:
    """The data set, if it holds images in memory. Raises `ValueError` otherwise."""
    if not isinstance(dataset, Images):
        raise NeedsError("needs images in memory", "dataset", lambda of: issubclass(of, Images))
    return dataset


def needs_samples(dataset: Dataset, n: int) -> None:
    """Raise `ValueError` if half of the samples are fewer than `n`."""
    if isinstance(dataset, InMemory) and len(dataset) < 2 * n:
        what = "images" if isinstance(dataset, Images) else "points"
        raise ValueError(f"needs {2 * n} {what} or more, and there are {len(dataset)}: add some, or choose metric=[]")
