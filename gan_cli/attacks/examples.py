"""Adversarial examples of a classifier: an attack with all its restarts, on a network that is left as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gan_cli.attacks.base import Attack, Objective


def examples(
    attack: Attack, classifier: nn.Module, images: Tensor, labels: Tensor, target: int | None = None
) -> Tensor:
    """The strongest of an attack's changed images, of those that it makes of each: the same shape, detached.

    `classifier` maps images to logits, and is in evaluation mode meanwhile. The objective is its cross-entropy, in
    nats, or that of the attack's `surrogate`; of a `target`, how little that of the target is. An image that succeeds
    is stronger than one that does not, and of two equal ones that of the larger objective.
    """
    judge = attack.surrogate if attack.surrogate is not None else classifier
    with evaluating(classifier), evaluating(judge):
        objective = objective_of(judge, labels, target)
        strongest = attack(images, objective)
        if attack.restarts == 1:
            return strongest
        with torch.no_grad():
            won, most = _strength(attack, classifier, objective, strongest, labels, target)
        for _ in range(attack.restarts - 1):
            other = attack(images, objective)
            with torch.no_grad():
                wins, raised = _strength(attack, classifier, objective, other, labels, target)
            is_stronger = (wins & ~won) | ((wins == won) & (raised > most))
            strongest = torch.where(is_stronger.reshape(-1, *[1] * (images.dim() - 1)), other, strongest)
            won, most = won | wins, torch.where(is_stronger, raised, most)
    return strongest


def objective_of(classifier: nn.Module, labels: Tensor, target: int | None = None) -> Objective:
    """The cross-entropy of each image, or minus that of the class that it is to be taken for."""

    def objective(images: Tensor) -> Tensor:
        logits = classifier(images)
        if target is None:
            return cross_entropy(logits, labels, reduction="none")
        return -cross_entropy(logits, torch.full_like(labels, target), reduction="none")

    return objective


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


def _strength(
    attack: Attack,
    classifier: nn.Module,
    objective: Objective,
    images: Tensor,
    labels: Tensor,
    target: int | None,
) -> tuple[Tensor, Tensor]:
    """Whether each image succeeds, and its objective."""
    return attack.succeeds(classifier(images).log_softmax(1), labels, target), objective(images)
