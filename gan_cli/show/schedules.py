"""A picture of the numbers that change over a run."""

import statistics
from collections.abc import Mapping

from matplotlib.figure import Figure

from gan_cli.schedules import Progress, Schedule, moments
from gan_cli.show.pictures import png

LOW = 0.1
"""The share of a number's largest value below which half of a run must see it for an axis of powers of ten."""


def picture(schedules: Mapping[str, Schedule], steps: int, images_per_step: int) -> bytes:
    """The PNG of each number, by name, against the real samples that a run has seen, a panel each."""
    figure = Figure(figsize=(8, 1.7 * len(schedules) + 0.5), layout="constrained")
    panels = figure.subplots(len(schedules), 1, sharex=True, squeeze=False)[:, 0]
    seen = [Progress(step, steps, images_per_step) for step in moments(steps)]
    images = [progress.images for progress in seen]
    for axes, (name, schedule) in zip(panels, schedules.items(), strict=True):
        numbers = [schedule.at(progress) for progress in seen]
        axes.plot(images, numbers)
        if min(numbers) > 0 and statistics.median(numbers) < LOW * max(numbers):
            axes.set_yscale("log")
        axes.set_ylabel(name.replace("_", "\n", 1).replace("_", " "))
        axes.grid(alpha=0.3)
    panels[-1].set_xlabel("images (real samples seen by the critic)")
    panels[-1].xaxis.set_major_formatter("{x:,.0f}")
    figure.align_ylabels()
    return png(figure)
