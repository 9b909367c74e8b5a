"""AutoAttack (Croce and Hein 2020, arXiv 2003.01690), as its authors publish it: four attacks with nothing to tune."""

import logging
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from gan_cli.attacks.base import WIDTH, Attack, Budget, Norm, Objective
from gan_cli.attacks.examples import LogOdds

LEAST_CLASSES = 4
"""The targeted ratio of differences of logits divides by one that needs the first, third and fourth largest."""

MOST_TARGETS = 9
"""Other classes that each of the two targeted attacks tries for an image."""


class Auto(Attack):
    """The standard ensemble: APGD on the cross-entropy, targeted APGD, targeted FAB and Square, 5,000 queries.

    Each attacks the images that those before it left right. Images that are wrong already, or that none fools, stay as
    they are: no budget is spent on them.
    """

    is_for_training = False
    needs_logits = True
    library = "pyautoattack"

    def __init__(self, epsilon: Budget, norm: Norm) -> None:
        """Raises `ValueError` if the library is not installed."""
        self.epsilon, self.norm = epsilon, norm
        self._library = _library()

    def check(self, classes: Sequence[str], sample_shape: tuple[int, ...]) -> None:
        super().check(classes, sample_shape)
        if len(classes) < LEAST_CLASSES:
            raise ValueError(
                f"compares the {LEAST_CLASSES} largest logits, and there are {len(classes)} classes: choose pgd"
            )

    def __call__(self, images: Tensor, objective: Objective) -> Tensor:
        """Raises `ValueError` unless the objective is `LogOdds`, whose classifier is asked for logits."""
        if not isinstance(objective, LogOdds):
            raise ValueError("attacks classifiers, through their logits: choose pgd")
        images = images.detach()
        if self.epsilon == 0:
            return images
        # The library accumulates gradients, which must not reach the parameters.
        weights = {name: weight.detach() for name, weight in objective.classifier.named_parameters()}

        def logits(brightness: Tensor) -> Tensor:
            # The library views gradients as rows, which they are not in the channels-last order of a network's own.
            pixels = (WIDTH * brightness.flatten(1) - 1).reshape(brightness.shape)
            found: Tensor = functional_call(objective.classifier, weights, (pixels,))
            return found

        originals = ((images + 1) / WIDTH).contiguous()
        with torch.no_grad():
            targets = min(MOST_TARGETS, logits(originals[:1]).shape[1] - 1)
        # Seeds the library's own stream, which is torch's, from torch's.
        seed = int(torch.randint(2**31, ()))
        method = self._library(
            logits, norm={"linf": "Linf", "l2": "L2"}[self.norm], eps=self.epsilon, seed=seed, device=images.device
        )
        method.apgd_targeted.n_target_classes = method.fab.n_target_classes = targets
        tracing = sys.gettrace()
        try:
            changed, _ = method.run_standard_evaluation(originals, objective.labels, batch_size=len(images))
        finally:
            sys.settrace(tracing)  # the library ends that of a debugger
        # Added to the images, so that those it did not change keep their bits.
        moved: Tensor = images + WIDTH * (changed - originals)
        return moved


def _library() -> Any:
    try:
        from pyautoattack import AutoAttack
    except ImportError as error:
        raise ValueError("needs pyautoattack: pip install 'gan-cli[attack]'") from error
    # It warns of vanishing gradients at every start of every attack.
    logging.getLogger("auto-attack").setLevel(logging.ERROR)
    return AutoAttack
