"""The training of a classifier as an iterator, in the manner of the game's: it reads no file and prints nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from gan_cli.attacks.base import Attack, NoAttack
from gan_cli.attacks.examples import examples
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
    attack: Attack = field(default_factory=NoAttack)
    clean_weight: float = 1.0
    """The weight of the loss of images as they are, from 0 to 1; that of attacked ones is the rest."""
    label_smoothing: float = 0.0
    """The share of each label that is spread evenly over all classes (Szegedy 2016, arXiv 1512.00567, §7)."""
    bf16: bool = False
    """Whether the network computes in bfloat16; the loss is in float32 or wider all the same."""

    @cached_property
    def schedules(self) -> list[Schedule]:
        """The numbers of the augmentation that change over the run."""
        return schedules_in(self.augmentation)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The mean cross-entropy with smoothed labels in nats, and the share of images that is classified rightly.

        Both are means over images as they are and attacked ones, by `clean_weight`: α·J(x) + (1 − α)·J(x̃) of
        Goodfellow, Shlens and Szegedy (2015, arXiv 1412.6572, section 6).
        """
        assert batch.labels is not None
        with torch.autocast(batch.samples.device.type, torch.bfloat16, enabled=self.bf16):
            images = self.augmentation(batch.samples)
            if self.clean_weight == 1:
                return self._terms(images, batch.labels)
            attacked = self._terms(examples(self.attack, self.classifier, images, batch.labels), batch.labels)
            if self.clean_weight == 0:
                return attacked
            clean = self._terms(images, batch.labels)
        loss, right = (torch.lerp(of, other, self.clean_weight) for of, other in zip(attacked, clean, strict=True))
        return loss, right

    def _terms(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.classifier(images)
        right = logits.detach().argmax(1) == labels
        with torch.autocast(images.device.type, enabled=False):
            return cross_entropy(widened(logits), labels, label_smoothing=self.label_smoothing), right.float().mean()


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
