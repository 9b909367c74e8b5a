"""What constructors and checks of several metrics have in common."""

from gan_cli.datasets.base import Dataset, Images


def at_least(limit: int, **counts: int) -> None:
    """Raise `ValueError` for a count below the limit."""
    for name, count in counts.items():
        if count < limit:
            raise ValueError(f"{name}={count} must be at least {limit}")


def needs_images(dataset: Dataset) -> Images:
    """The data set, if it holds images in memory. Raises `ValueError` otherwise."""
    if not isinstance(dataset, Images):
        raise ValueError("needs images in memory: dataset=mnist, mnist5k, fashion_mnist or folder, or metric=[]")
    return dataset


def needs_samples(dataset: Dataset, n: int) -> None:
    """Raise `ValueError` if half of the images are fewer than `n`."""
    if isinstance(dataset, Images) and len(dataset) < 2 * n:
        raise ValueError(f"needs {2 * n} images or more, and there are {len(dataset)}: add some, or choose metric=[]")
