"""The training of a classifier as an iterator, in the manner of the game's: it reads no file and prints nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from gan_cli.augmentations.base import Augmentation, NoAugmentation
from gan_cli.classifiers.base import Classifier
from gan_cli.datasets.base import Batch
from gan_cli.editions import NEWEST
from gan_cli.randomness import begin, torchs_own
from gan_cli.schedules import Constant, Progress, Schedule, schedules_in
from gan_cli.training.batches import Batches
from gan_cli.training.loop import Terms, descend, widened
from gan_cli.training.scheduling import OptimizerNumbers, Option
from gan_cli.training.state import State


@dataclass
class ClassifierState(State):
    """The state of a classifier's training."""

    classifier: Classifier
    optimizer: Optimizer
    step: int = 0

    def parts(self) -> Mapping[str, nn.Module | Optimizer]:
        return {"classifier": self.classifier, "optimizer": self.optimizer}


@dataclass
class Lesson:
    """What a classifier minimises, as a function of a labelled batch."""

    classifier: Classifier
    augmentation: Augmentation = field(default_factory=NoAugmentation)
    bf16: bool = False
    """Whether the network computes in bfloat16; the loss is in float32 or wider all the same."""

    @cached_property
    def schedules(self) -> list[Schedule]:
        """The numbers of the augmentation that change over the run."""
        return schedules_in(self.augmentation)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The mean cross-entropy in nats, and the share of the batch that is classified rightly."""
        assert batch.labels is not None
        with torch.autocast(batch.samples.device.type, torch.bfloat16, enabled=self.bf16):
            logits = self.classifier(self.augmentation(batch.samples))
        right = logits.detach().argmax(1) == batch.labels
        return cross_entropy(widened(logits), batch.labels), right.float().mean()


@dataclass(frozen=True)
class Pace:
    """What changes of the optimizer over the run."""

    rates: Schedule = field(default_factory=lambda: Constant(1.0))
    """A factor on the learning rate."""

    options: Mapping[str, Option] = field(default_factory=dict)
    """The options of the optimizer that change, by name."""


def learn(
    state: ClassifierState,
    lesson: Lesson,
    batches: Batches,
    *,
    steps: int,
    seed: int,
    edition: int = NEWEST,
    pace: Pace | None = None,
) -> Iterator[Terms]:
    """Take `state` to `steps` steps, one batch each, and give the terms of each as soon as it is taken.

    The random numbers of a step are a function of `seed` and its index alone.
    """
    pace = pace or Pace()
    numbers = OptimizerNumbers(state.optimizer, pace.options, pace.rates)
    device = next(state.classifier.parameters()).device
    while state.step < steps:
        state.classifier.train()
        for generator in torchs_own(device):
            begin(generator, seed, "step", state.step, edition=edition)
        (batch,) = batches(state.step, 1).unbind()

        # Write what changes over the run.
        progress = Progress(state.step, steps, images_per_step=len(batch.samples))
        numbers.write(progress)
        for schedule in lesson.schedules:
            schedule.write(progress)

        loss, right = lesson.loss(batch)
        norm = descend(loss, state.optimizer)
        state.step += 1
        yield {"loss": loss.detach(), "batch_accuracy": right, "gradient_norm": norm}
