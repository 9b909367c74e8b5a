"""The numbers of a run that are written once a step: into the optimizers, and for the average."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gan_cli.schedules import Constant, Progress, Scaled, Schedule, WarmUp

Option = float | Schedule | Sequence[float | Schedule]
"""A number of an optimizer, or several such as Adam's β, some of which may change."""


@dataclass(frozen=True)
class Scheduling:
    """What changes over a run beside the parts of the game."""

    rates: Schedule = field(default_factory=lambda: Constant(1.0))
    """A factor on all learning rates."""

    average_decay: float | Schedule = field(default_factory=lambda: WarmUp(0.999))
    """The share of the averaged generator that a step keeps."""

    generator: Mapping[str, Option] = field(default_factory=dict)
    """The options of the generator's optimizer that change, by name."""

    critic: Mapping[str, Option] = field(default_factory=dict)
    """Those of the critic's optimizer."""

    @property
    def options(self) -> list[Option]:
        """All of them."""
        return [self.rates, self.average_decay, *self.generator.values(), *self.critic.values()]

    def decay(self, progress: Progress) -> float:
        """The decay of the average at a step."""
        decay: float = number(self.average_decay, progress)
        return decay


def number(option: Option, progress: Progress) -> Any:
    """The value of an option at a step: a number, or a tuple of numbers."""
    if isinstance(option, Schedule):
        return option.at(progress)
    if isinstance(option, Sequence):
        return tuple(number(item, progress) for item in option)
    return option


def depends_on_steps(options: Iterable[Option]) -> bool:
    """Whether a run of more steps in all has other numbers from early on."""
    after_one = [Progress(step=1, steps=steps, images_per_step=1) for steps in (2, 1000)]
    return any(len({number(option, progress) for progress in after_one}) > 1 for option in options)


class OptimizerNumbers:
    """The learning rates and the other options that change, of one optimizer."""

    def __init__(self, optimizer: Optimizer, options: Mapping[str, Option], factor: Schedule) -> None:
        self._optimizer = optimizer
        self._options = options
        self._factor = factor
        self._rates = [options.get("lr", rate) for rate in configured_rates(optimizer)]

    def write(self, progress: Progress) -> None:
        """Set the numbers for the step after `progress`."""
        factor = self._factor.at(progress)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            _put(group, "lr", number(rate, progress) * factor)
            for name, option in self._options.items():
                if name != "lr":
                    _put(group, name, number(option, progress))


def configured_rates(optimizer: Optimizer) -> list[float]:
    """The configured rate of each parameter group, which loading a checkpoint does not change."""
    return [float(group.setdefault("initial_lr", group["lr"])) for group in optimizer.param_groups]


def with_rate(optimizer: Optimizer, options: Mapping[str, Option], factor: Schedule) -> dict[str, Option]:
    """The options of an optimizer that may change; in the place of `lr` its learning rate, scaled by the factor."""
    rate = options.get("lr", configured_rates(optimizer)[0])
    assert not isinstance(rate, Sequence)
    return {"learning_rate": Scaled(rate, factor), **{name: of for name, of in options.items() if name != "lr"}}


def _put(group: dict[str, Any], name: str, value: Any) -> None:
    """Write a number, or a tuple of numbers; one that a captured step reads on its device stays where it lies."""
    present = group[name]
    if isinstance(present, Tensor):
        present.fill_(value)
    elif isinstance(present, tuple) and any(isinstance(item, Tensor) for item in present):
        for item, new in zip(present, value, strict=True):
            if isinstance(item, Tensor):
                item.fill_(new)
    else:
        group[name] = value


def keep_on_device(optimizer: Optimizer, options: Mapping[str, Option]) -> None:
    """Move what changes from step to step, rates and counts, to where a graph reads it.

    A fused kernel takes the rate from the device, but Adam's β as constants: where one of these changes the optimizer
    takes its capturable form. No optimizer of torch's takes other numbers from there.
    """
    configured_rates(optimizer)  # noted before they are rounded
    for group in optimizer.param_groups:
        device = group["params"][0].device
        if "betas" in options and "capturable" in group:
            group["fused"] = False
            group["foreach"] = True
        if "capturable" in group:
            group["capturable"] = True
        if group.get("capturable") or group.get("fused"):
            group["lr"] = torch.tensor(group["lr"], device=device)
            if "betas" in options:
                group["betas"] = tuple(torch.tensor(item, device=device) for item in group["betas"])
    for parameter, values in optimizer.state.items():
        if "step" in values:
            values["step"] = torch.as_tensor(values["step"], dtype=torch.float32, device=parameter.device)


def numbers_on_host(optimizer: Optimizer, options: Mapping[str, Option]) -> list[float]:
    """The numbers among those that may change that a graph would keep as they were at its capture."""
    held = [group.get(name, ()) for group in optimizer.param_groups for name in ("lr", "betas", *options)]
    numbers = [number for value in held for number in (value if isinstance(value, tuple) else (value,))]
    return [number for number in numbers if not isinstance(number, Tensor)]


def keep_on_host(optimizer: Optimizer) -> None:
    """Undo `keep_on_device`, of which a checkpoint of captured steps holds traces."""
    configured_rates(optimizer)
    for group in optimizer.param_groups:
        for form in ("fused", "foreach", "capturable"):
            if form in group:
                group[form] = optimizer.defaults.get(form, group[form])
        for name, value in group.items():
            if name == "lr":
                group[name] = float(value)
            elif isinstance(value, tuple) and any(isinstance(item, Tensor) for item in value):
                group[name] = tuple(float(item) for item in value)
        if not group.get("fused"):  # which would wait for the count of each parameter
            for values in (optimizer.state.get(parameter, {}) for parameter in group["params"]):
                if "step" in values:
                    values["step"] = torch.as_tensor(values["step"]).cpu()
