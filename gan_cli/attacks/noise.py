"""Noise, for comparison: as large a change as an attack's, without a gradient; or nothing but noise."""

import math

import torch
from torch import Tensor

from gan_cli.attacks.ball import on_sphere
from gan_cli.attacks.base import WIDTH, Attack, Budget, Norm, Objective, inside
from gan_cli.ranges import Count, Positive


class Noise(Attack):
    """A random change on the border of the ball: ± ε of each pixel, or a random direction of the length ε."""

    def __init__(self, epsilon: Budget, norm: Norm, restarts: Count, clip: bool) -> None:
        self.epsilon, self.norm, self.restarts, self.clip = epsilon, norm, restarts, clip

    def __call__(self, images: Tensor, objective: Objective) -> Tensor:
        images, radius = images.detach(), WIDTH * self.epsilon
        if self.norm == "linf":
            change = torch.empty_like(images).bernoulli_(0.5).mul(2).sub(1).mul(radius)
        else:
            change = on_sphere(images, radius)
        return inside(images + change) if self.clip else images + change


class Rubbish(Attack):
    """Gaussian noise in the place of images; it succeeds where the classifier is surer than a half of any class.

    Goodfellow, Shlens and Szegedy (2015, arXiv 1412.6572, section 9 on rubbish class examples).
    """

    keeps_images = False

    def __init__(self, mean: float, deviation: Positive, clip: bool) -> None:
        """`mean` and `deviation` of each pixel are in units of the data range, [0, 1]."""
        self.mean, self.deviation, self.clip = mean, deviation, clip

    def __call__(self, images: Tensor, objective: Objective) -> Tensor:
        pixels = WIDTH * (self.mean + self.deviation * torch.randn_like(images)) - 1
        return inside(pixels) if self.clip else pixels

    def succeeds(self, log_probabilities: Tensor, labels: Tensor, target: int | None = None) -> Tensor:
        return log_probabilities.amax(1) > math.log(0.5)
