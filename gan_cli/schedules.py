"""Numbers that change over a run: learning rates, β₂, the weight of a penalty, the decay of the average."""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Lt
from torch import Tensor

from gan_cli.ranges import Count, NonNegative, Positive


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    step: int
    """Steps taken."""
    steps: int
    """Steps in all."""
    images_per_step: int
    """Real samples that the critic sees in a step."""

    @property
    def images(self) -> int:
        """Real samples seen."""
        return self.step * self.images_per_step

    def share(self, images: int | None) -> float:
        """The share of so many images, or of the whole run, that has been seen: from 0 to 1."""
        if images is None:
            return self.step / self.steps
        return min(1.0, self.images / images) if images else 1.0


class Schedule(ABC):
    """A number as a function of the progress of a run.

    It is written once a step. What reads it, as `now(number)`, finds a Python float, or after `keep_on` a scalar on a
    device, which a captured or compiled step follows without being made anew.
    """

    _value: float | Tensor | None = None

    @abstractmethod
    def at(self, progress: Progress) -> float:
        """The number that the step after `progress` is computed with."""

    @property
    def ends(self) -> tuple[float, float]:
        """The number before the first step, and at the end of a run that no schedule outlasts."""
        return self.at(Progress(0, 1, 1)), self.at(Progress(10**12, 10**12, 1))

    @property
    def value(self) -> float | Tensor:
        """The number as it was written last; before the first step that of the beginning."""
        return self.at(Progress(0, 1, 1)) if self._value is None else self._value

    def write(self, progress: Progress) -> None:
        """Set the number for the next step."""
        number = self.at(progress)
        if isinstance(self._value, Tensor):
            self._value.fill_(number)
        else:
            self._hold(number)

    def keep_on(self, device: torch.device) -> None:
        """Hold the number in one scalar on a device from now on."""
        self._hold(torch.as_tensor(self.value, dtype=torch.float32, device=device))

    def _hold(self, value: float | Tensor) -> None:
        object.__setattr__(self, "_value", value)  # a part may be a frozen dataclass


def now(number: float | Schedule) -> float | Tensor:
    """The present value of a number that may change."""
    return number.value if isinstance(number, Schedule) else number


def schedules_in(part: object) -> list[Schedule]:
    """Every schedule among the attributes of a part and of the parts in it, each once."""
    return [schedule for _, schedule in _found_in(part)]


def named(parts: Mapping[str, object]) -> dict[str, Schedule]:
    """The schedules among parts and within them, by the last two names on the shortest way to each.

    The weight of a divergence's penalty is `penalty_weight`, the second of the critic's `betas` is `critic_beta2`. If
    two schedules would have one name, theirs are those of the whole ways.
    """
    found = _found_in(parts)
    short = Counter(way[-2:] for way, _ in found)
    return {"_".join(way[-2:] if short[way[-2:]] == 1 else way): schedule for way, schedule in found}


def _found_in(part: object) -> list[tuple[tuple[str, ...], Schedule]]:
    """Every schedule in a part, nearer ones first, each once with the names on the way to it."""
    seen: dict[int, object] = {}
    ahead: list[tuple[tuple[str, ...], object]] = [((), part)]
    found = []
    for way, item in ahead:  # which grows meanwhile
        if id(item) in seen or isinstance(item, type | Tensor):
            continue
        seen[id(item)] = item
        if isinstance(item, Schedule):
            found.append((way, item))
        elif isinstance(item, list | tuple | set):
            *before, last = way or ("",)
            ahead += [((*before, f"{last.removesuffix('s')}{index}"), of) for index, of in enumerate(item, start=1)]
        else:
            inside = item if isinstance(item, Mapping) else getattr(item, "__dict__", {})
            ahead += [((*way, str(name).lstrip("_")), of) for name, of in inside.items()]
    return found


def moments(steps: int, most: int = 1000) -> list[int]:
    """Up to so many of the steps 0 to `steps` − 1, evenly spaced, with the first and the last of them."""
    number = min(steps, most)
    return [round(index * (steps - 1) / max(1, number - 1)) for index in range(number)]


def varies(schedule: Schedule, steps: int, images_per_step: int) -> bool:
    """Whether the number is not the same all over a run, as far as a thousand of its steps tell."""
    return len({schedule.at(Progress(step, steps, images_per_step)) for step in moments(steps)}) > 1


class Scaled(Schedule):
    """A number times another schedule, as a learning rate is scaled by the factor on all of them."""

    def __init__(self, number: float | Schedule, factor: Schedule) -> None:
        self.number, self.factor = number, factor

    def at(self, progress: Progress) -> float:
        number = self.number.at(progress) if isinstance(self.number, Schedule) else self.number
        return number * self.factor.at(progress)


class Constant(Schedule):
    """The same number at every step."""

    def __init__(self, number: float) -> None:
        self.number = number

    def at(self, progress: Progress) -> float:
        return self.number


class Linear(Schedule):
    """A straight line from `start` to `end`, reached by the step that begins after so many images.

    Over the whole run, of n steps, the first has `start` and the last is 1/n of the way short of `end`.
    """

    def __init__(self, start: float, end: float, images: Count | None) -> None:
        self.start, self.end, self.images = start, end, images

    def at(self, progress: Progress) -> float:
        return self.start + (self.end - self.start) * progress.share(self.images)


class Cosine(Schedule):
    """Half a cosine from `start` to `end`, reached by the step that begins after so many images.

    Over the whole run, of n steps, the first has `start` and the last is (1 − cos π/n)/2 of the way short of `end`. As
    in SGDR without restarts (Loshchilov & Hutter 2017, arXiv 1608.03983, eq. 5).
    """

    def __init__(self, start: float, end: float, images: Count | None) -> None:
        self.start, self.end, self.images = start, end, images

    def at(self, progress: Progress) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * progress.share(self.images))) / 2


class OneCycle(Schedule):
    """A straight line from 0 to `peak`, and one back to 0: it turns after the share `rise` of the images.

    These are so many or, without a number, those of the whole run. Large rates in the middle let a run be short (Smith
    & Topin 2018, arXiv 1708.07120; for adversarial training Wong 2020, arXiv 2001.03994, with a rise of 0.4).
    """

    def __init__(self, peak: NonNegative, rise: Annotated[float, Ge(0), Lt(1)], images: Count | None) -> None:
        self.peak, self.rise, self.images = peak, rise, images

    def at(self, progress: Progress) -> float:
        share = progress.share(self.images)
        return self.peak * (share / self.rise if share < self.rise else (1 - share) / (1 - self.rise))


@dataclass(frozen=True)
class WarmUp(Schedule):
    """The decay of an average after t steps, min(decay, (1 + t)/(10 + t)), which lets an early average move fast.

    This is the rule of TensorFlow's `ExponentialMovingAverage` with `num_updates`. A decay of 0.999 is reached after
    8,990 steps only: before, the average has a memory of about t/9 steps.
    """

    decay: Annotated[float, Ge(0), Lt(1)]

    def at(self, progress: Progress) -> float:
        return min(self.decay, (1 + progress.step) / (10 + progress.step))


class HalfLife(Schedule):
    """The decay of an average in which a step's weight halves every so many images: ½^(images per step / images).

    The half-life is at most `warm_up` times the images seen, so that an early average moves fast; null: from the start.
    As in StyleGAN2-ADA (Karras 2020, arXiv 2006.06676, code), whose ramp is 0.05.
    """

    def __init__(self, images: Positive, warm_up: NonNegative | None) -> None:
        self.images, self.warm_up = images, warm_up

    def at(self, progress: Progress) -> float:
        half_life = self.images
        if self.warm_up is not None:
            half_life = min(half_life, self.warm_up * progress.images)
        return 0.5 ** (progress.images_per_step / half_life) if half_life else 0.0
