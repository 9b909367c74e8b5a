"""The sides of images that a network takes."""

from collections.abc import Sequence


def side_of(sample_shape: tuple[int, ...], sides: Sequence[int]) -> int:
    """The side of square images. Raises `ValueError` for samples that are none, or of another side."""
    if len(sample_shape) != 3 or sample_shape[1] != sample_shape[2]:
        raise ValueError(f"takes square images, not samples of shape {sample_shape}: choose model=mlp")
    side = sample_shape[1]
    if side not in sides:
        listed = f"{', '.join(map(str, sides[:-1]))} or {sides[-1]}"
        nearest = min(sides, key=lambda taken: abs(taken - side))
        raise ValueError(f"takes sides of {listed}, not {side}: choose dataset.resolution={nearest}, or model=dcgan")
    return side
