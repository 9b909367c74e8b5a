"""Adversarial examples: an attack with all its restarts, on a network that is left as it was."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_cli.attacks.base import Attack, Objective, inside


def examples(
    attack: Attack, classifier: nn.Module, images: Tensor, labels: Tensor, target: int | None = None
) -> Tensor:
    """The strongest of an attack's changed images, of those that it makes of each: the same shape, detached.

    `classifier` maps images to logits, and is in evaluation mode meanwhile. The objective is `LogOdds` of it, or of the
    attack's `surrogate`.
    """
    judge = attack.surrogate if attack.surrogate is not None else classifier

    def succeeds(changed: Tensor) -> Tensor:
        return attack.succeeds(classifier(changed).log_softmax(1), labels, target)

    with evaluating(classifier), evaluating(judge):
        return strongest(attack, images, LogOdds(judge, labels, target), succeeds)


def strongest(
    attack: Attack, images: Tensor, objective: Objective, succeeds: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Of the changed images that an attack makes of each image the strongest: the same shape, detached.

    An image that succeeds is stronger than one that does not, and of two equal ones that of the larger objective, which
    alone decides unless `succeeds` is given, a map of changed images to `(n,)`.
    """

    def strength(changed: Tensor) -> tuple[Tensor, Tensor]:
        raised = objective(changed)
        return torch.zeros_like(raised, dtype=torch.bool) if succeeds is None else succeeds(changed), raised

    best = _made(attack, images, objective)
    if attack.restarts == 1:
        return best
    with torch.no_grad():
        won, most = strength(best)
    for _ in range(attack.restarts - 1):
        other = _made(attack, images, objective)
        with torch.no_grad():
            wins, raised = strength(other)
        is_stronger = (wins & ~won) | ((wins == won) & (raised > most))
        best = torch.where(is_stronger.reshape(-1, *[1] * (images.dim() - 1)), other, best)
        won, most = won | wins, torch.where(is_stronger, raised, most)
    return best


@dataclass(frozen=True)
class LogOdds:
    """The log odds of each image against its class, or those of the class that it is to be taken for.

    Against a class they are log((1 − p)/p). The cross-entropy is their softplus, so both rise along one direction; but
    where a classifier is sure, the gradient of the cross-entropy vanishes in float32, and that of the odds does not.
    """

    classifier: nn.Module
    labels: Tensor
    target: int | None = None

    def __call__(self, images: Tensor) -> Tensor:
        logits = self.classifier(images)
        of = (self.labels if self.target is None else torch.full_like(self.labels, self.target))[:, None]
        against: Tensor = logits.scatter(1, of, -torch.inf).logsumexp(1) - logits.gather(1, of).squeeze(1)
        return against if self.target is None else -against


def _made(attack: Attack, images: Tensor, objective: Objective) -> Tensor:
    changed = attack(images, objective).detach()
    return inside(changed) if attack.clip else changed


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, and afterwards each module in the mode that it had."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
