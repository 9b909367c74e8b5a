"""Adversarial examples of another classifier (Szegedy 2014, arXiv 1312.6199): whether they fool this one too."""

from collections.abc import Sequence

from gan_cli.attacks.base import Budget, Norm
from gan_cli.attacks.gradient import ProjectedGradient
from gan_cli.classifiers.base import OpenClassifier
from gan_cli.ranges import Count, NonNegative


class Transfer(ProjectedGradient):
    """The gradient is that of the classifier in the folder `run`; one step of it unless more are asked for."""

    def __init__(
        self,
        run: str,
        open_classifier: OpenClassifier,
        epsilon: Budget,
        norm: Norm,
        steps: Count,
        step_size: NonNegative | None,
        random_start: bool,
        restarts: Count,
        clip: bool,
        target: str | int | None,
    ) -> None:
        """`step_size` is in the units of `epsilon`; None: epsilon of a single step, else 2.5 · epsilon / steps."""
        single = epsilon if steps == 1 and step_size is None else step_size
        super().__init__(epsilon, norm, steps, single, restarts, clip, target, random_start)
        self._run, self._other = run, open_classifier(run)
        self.surrogate = self._other.network

    def check(self, classes: Sequence[str], sample_shape: tuple[int, ...]) -> None:
        super().check(classes, sample_shape)
        if list(self._other.classes) != list(classes) or tuple(self._other.sample_shape) != tuple(sample_shape):
            raise ValueError(f"run={self._run} classifies other images: name a classifier of the same classes and size")
