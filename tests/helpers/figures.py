"""What matplotlib is told to draw, caught before it becomes pixels; its annotations say too little to be of use."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure


def all_caught(draw: Callable[[], Any]) -> list[Any]:
    """The figures that `draw` would save; pixels, which take most of the time, are not made."""
    saved: list[Figure] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda figure, *_, **__: saved.append(figure))
        draw()
    return saved


def caught(draw: Callable[[], Any]) -> Any:
    """The one figure that `draw` would save."""
    (figure,) = all_caught(draw)
    return figure


def lines(axes: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The x and y of the curves that have a name in the legend."""
    named = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
    return {str(line.get_label()): (np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for line in named}


def points(axes: Any) -> dict[str, tuple[np.ndarray, str]]:
    """The points by their name in the legend, with a colour that matplotlib knows by name."""
    names: dict[Any, str] = {to_rgba(name)[:3]: name for name in ("tab:orange", "tab:blue")}
    return {
        str(cloud.get_label()): (np.asarray(cloud.get_offsets()), names[tuple(cloud.get_facecolor()[0][:3])])
        for cloud in axes.collections
        if not str(cloud.get_label()).startswith("_")
    }
