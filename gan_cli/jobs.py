"""What is trained, apart from how that is carried out in a folder."""

import typing
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gan_cli.config.schema import EveryConfig
from gan_cli.datasets.base import Dataset, Images
from gan_cli.divergences.base import Divergence
from gan_cli.errors import ConfigError
from gan_cli.metrics.accuracy import accuracies, confusion
from gan_cli.metrics.base import Metric, flat
from gan_cli.metrics.guard import NAME, Guard
from gan_cli.metrics.samples import RealSamples
from gan_cli.metrics.subject import Players
from gan_cli.schedules import Schedule, named, varies
from gan_cli.show import classification, pictures, samples
from gan_cli.trackers import Tracker
from gan_cli.training.batches import Batches
from gan_cli.training.classifying import ClassifierState, Lesson, Pace, learn
from gan_cli.training.execution import Plan
from gan_cli.training.loop import Game, Iteration, Terms, train
from gan_cli.training.scheduling import Scheduling, depends_on_steps, with_rate
from gan_cli.training.state import State, TrainState


@dataclass(kw_only=True)
class Job(ABC):
    """What is trained, apart from how that is carried out in a folder."""

    seed: int
    edition: int
    steps: int
    images_per_step: int
    every: EveryConfig
    device: torch.device
    dataset: Dataset
    state: State
    tracker: Tracker
    plan: Plan

    classes: Mapping[str, float] = field(default_factory=dict)
    """The share of each class of the data by its name, in the order of the labels, if its networks take labels."""

    headline: typing.ClassVar[str]
    """The term that is shown while the job goes on."""

    shown: typing.ClassVar[Sequence[str]]
    """The terms of a line of the log."""

    pictured: typing.ClassVar[str] = "samples"
    """What the pictures show, which names their folder."""

    @property
    @abstractmethod
    def mode(self) -> str:
        """How its steps are executed by now."""

    @property
    @abstractmethod
    def extends_exactly(self) -> bool:
        """Whether raising train.steps leaves earlier steps unchanged."""

    @abstractmethod
    def terms(self) -> Iterator[Terms]:
        """Begin, or go on with, the training of `state`, and give the terms of each step."""

    @abstractmethod
    def numbers(self) -> dict[str, float]:
        """What is measured of the state as it stands. Raises `ConfigError`."""

    def findings(self) -> dict[str, typing.Any]:
        """What run.json says of the state as it was measured last, beside the numbers."""
        return {}

    def fault(self, metrics: Sequence[Mapping[str, float]]) -> str | None:
        """Why the state should not be kept, though all of its numbers are finite, by the lines of metrics.jsonl."""
        return None

    def held_out(self) -> Mapping[str, str | None]:
        """The digest of what is tested on, by its name in run.json, if anything is."""
        return {}

    @abstractmethod
    def picture(self) -> bytes:
        """A PNG of the state as it stands, to be compared over the steps."""

    def real_picture(self) -> bytes | None:
        """A PNG of real data, to be compared with those of the state; None if there is nothing to compare."""
        return None

    @abstractmethod
    def curves(self, metrics: Sequence[Mapping[str, float]]) -> bytes:
        """A PNG of the lines of metrics.jsonl."""

    @abstractmethod
    def networks(self) -> Mapping[str, nn.Module]:
        """What learns, by name."""

    @abstractmethod
    def learning_rates(self) -> dict[str, float]:
        """The rate of each optimizer at the last step, by the name in metrics.jsonl."""

    def schedules(self) -> Mapping[str, Schedule]:
        """Every number that may change over the run, learning rates among them, by the name in metrics.jsonl."""
        return {}

    def changing(self) -> dict[str, Schedule]:
        """Those of them that do."""
        return {name: of for name, of in self.schedules().items() if varies(of, self.steps, self.images_per_step)}


@dataclass(kw_only=True)
class GameJob(Job):
    """The training of a generator and a critic."""

    headline = "estimate"
    shown = ("estimate", "critic_loss", "generator_loss")

    state: TrainState
    game: Game
    batches: Batches
    scheduling: Scheduling
    metrics: Mapping[str, Metric]
    real: RealSamples
    draws_raw: bool
    """Whether its averaged generator is the raw one."""
    _iterate: Iteration | None = field(default=None, init=False)

    @property
    def divergence(self) -> Divergence:
        """What the critic estimates."""
        return self.game.divergence

    @property
    def subject(self) -> Players:
        """The players as they stand, for metrics."""
        state = self.state
        return Players(self.real, self.seed, state.generator, state.average, state.critic, self.divergence)

    @property
    def mode(self) -> str:
        return self.plan.mode if self._iterate is None else self._iterate.mode

    @property
    def extends_exactly(self) -> bool:
        return not depends_on_steps([*self.scheduling.options, *self.game.schedules])

    def terms(self) -> Iterator[Terms]:
        self._iterate = self.plan.iteration(self.state, self.game, self.scheduling)
        return train(
            self.state,
            self.game,
            self.batches,
            steps=self.steps,
            seed=self.seed,
            edition=self.edition,
            scheduling=self.scheduling,
            iterate=self._iterate,
        )

    def numbers(self) -> dict[str, float]:
        subject = self.subject
        numbers: dict[str, float] = {}
        for name, metric in self.metrics.items():
            try:
                numbers |= flat(metric(subject))
            except ValueError as error:
                raise ConfigError(f"metric.{name}: {error}") from error
        return numbers

    def picture(self) -> bytes:
        """What the averaged generator makes of the same latents at every step."""
        return samples.picture(
            self.state.average,
            self.dataset,
            seed=self.seed,
            title=samples.heading(self.state.step, is_raw=self.draws_raw),
            critic=self.state.critic,
        )

    def real_picture(self) -> bytes | None:
        return samples.real_picture(self.state.average, self.dataset, seed=self.seed)

    def curves(self, metrics: Sequence[Mapping[str, float]]) -> bytes:
        return pictures.curves(metrics, self.divergence.unit)

    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.state.generator, "critic": self.state.critic}

    def learning_rates(self) -> dict[str, float]:
        optimizers = {"generator": self.state.generator_optimizer, "critic": self.state.critic_optimizer}
        return {f"{name}_learning_rate": float(of.param_groups[0]["lr"]) for name, of in optimizers.items()}

    def schedules(self) -> Mapping[str, Schedule]:
        of = self.scheduling
        return named(
            {
                "average_decay": of.average_decay,
                "generator": with_rate(self.state.generator_optimizer, of.generator, of.rates),
                "critic": with_rate(self.state.critic_optimizer, of.critic, of.rates),
                "divergence": self.divergence,
                "augmentation": self.game.augmentation,
            }
        )


@dataclass(kw_only=True)
class ClassifierJob(Job):
    """The training of a classifier."""

    headline = "loss"
    shown = ("loss", "batch_accuracy")
    pictured = "confusion"

    state: ClassifierState
    lesson: Lesson
    batches: Batches
    pace: Pace
    test: Images
    """Images that are not trained on, with the labels of the training data."""
    guard: Guard | None = None
    """What watches over training against an attack."""
    _counted: tuple[int, Tensor | None] = field(default=(-1, None), init=False)
    """The confusion of a step."""

    @property
    def mode(self) -> str:
        return self.plan.mode

    @property
    def extends_exactly(self) -> bool:
        return not depends_on_steps([self.pace.rates, *self.pace.options.values(), *self.lesson.schedules])

    def terms(self) -> Iterator[Terms]:
        return learn(
            self.state,
            self.lesson,
            self.batches,
            steps=self.steps,
            seed=self.seed,
            edition=self.edition,
            pace=self.pace,
        )

    def numbers(self) -> dict[str, float]:
        numbers = accuracies(self._confusion(), list(self.classes))
        if self.guard is not None:
            numbers[NAME] = self.guard.accuracy(self.state.classifier, self.state.step)
        return flat(numbers)

    def findings(self) -> dict[str, typing.Any]:
        """The numbers of test images by their true class, in rows, and by the class that they were taken for."""
        return {"confusion": self._confusion().tolist()}

    def fault(self, metrics: Sequence[Mapping[str, float]]) -> str | None:
        return None if self.guard is None else self.guard.fault(self.state.classifier, self.state.step, metrics)

    def held_out(self) -> Mapping[str, str | None]:
        return {"test": self.test.fingerprint()}

    def picture(self) -> bytes:
        title = f"{len(self.test):,} test images after step {self.state.step:,}"
        return classification.confusion_matrix(self._confusion(), list(self.classes), title)

    def curves(self, metrics: Sequence[Mapping[str, float]]) -> bytes:
        return classification.curves(metrics)

    def networks(self) -> Mapping[str, nn.Module]:
        return {"classifier": self.state.classifier}

    def learning_rates(self) -> dict[str, float]:
        return {"learning_rate": float(self.state.optimizer.param_groups[0]["lr"])}

    def schedules(self) -> Mapping[str, Schedule]:
        of_optimizer = with_rate(self.state.optimizer, self.pace.options, self.pace.rates)
        return named({**of_optimizer, "augmentation": self.lesson.augmentation})

    def _confusion(self) -> Tensor:
        """The counts at this step, shape `(classes, classes)`, which are counted once."""
        step, counts = self._counted
        if step != self.state.step or counts is None:
            counts = confusion(self.state.classifier, self.test)
            self._counted = (self.state.step, counts)
        return counts
