"""The stages of networks that halve or double square images down to or up from 4 × 4."""

from collections.abc import Sequence


def stage_widths(sample_shape: tuple[int, ...], width: int, max_width: int, sides: Sequence[int]) -> list[int]:
    """Channels of each stage, from the image down to a side of 4: `width` doubled at each halving, to `max_width`.

    Raises `ValueError` for samples that are no square images of one of the `sides`, which are powers of two.
    """
    if len(sample_shape) != 3 or sample_shape[1] != sample_shape[2]:
        raise ValueError(f"takes square images, not samples of shape {sample_shape}: choose model=mlp")
    side = sample_shape[1]
    if side not in sides:
        listed = f"{', '.join(map(str, sides[:-1]))} or {sides[-1]}"
        raise ValueError(f"takes sides of {listed}, not {side}: choose dataset.resolution=32, or model=dcgan")
    if max_width < width:
        raise ValueError(f"max_width={max_width} must be at least width={width}")
    return [min(width * 2**stage, max_width) for stage in range(side.bit_length() - 2)]
