"""What generators and critics are to the rest of the program."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from gan_cli.augmentations.base import Augmentation, NoAugmentation
from gan_cli.datasets.base import Density
from gan_cli.ranges import Count
from gan_cli.ranks import of_all, own

Latent = Literal["normal", "uniform", "mixture"]
"""N(0, 1) in each coordinate; uniform on [−1, 1]; or a mixture of as many Gaussians as there are coordinates.

A connected latent, as the first two are, cannot map onto disconnected classes without samples in between. The mixture,
whose Gaussians lie `SEPARATION` out on an axis each, makes those improbable (Gaussian mixture GAN, arXiv 1808.10356).
"""

SEPARATION = 8.0
"""In deviations: with 128 Gaussians, less than one latent in a million lies nearer to another than to its own."""


class Generator(nn.Module, ABC):
    """Maps latents of shape `(batch, latent_size)` to samples of shape `(batch, *sample_shape)`.

    Images lie in [−1, 1]; points of toy data are unbounded.
    """

    def __init__(self, latent_size: Count, latent: Latent) -> None:
        super().__init__()
        if latent == "mixture" and latent_size < 2:
            raise ValueError("latent=mixture has as many Gaussians as latent_size, which must be at least 2")
        self.latent_size = latent_size
        self.latent = latent

    def sample_latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """`n` latents on the device of the parameters, from `generator`, on any device, or from torch's own stream."""
        device = next(self.parameters()).device
        source = device if generator is None else generator.device
        n = of_all(n)
        if self.latent == "uniform":
            return own(2 * torch.rand(n, self.latent_size, generator=generator, device=source) - 1).to(device)
        latent = torch.randn(n, self.latent_size, generator=generator, device=source)
        if self.latent == "mixture":
            latent += self._centre(torch.randint(self.latent_size, (n,), generator=generator, device=source))
        return own(latent).to(device)

    def centre(self, latent: Tensor) -> Tensor:
        """The centre that each latent was drawn about: that of its Gaussian in a mixture, else 0; shape as `latent`."""
        return self._centre(latent.argmax(-1)) if self.latent == "mixture" else torch.zeros_like(latent)

    def _centre(self, index: Tensor) -> Tensor:
        return SEPARATION * (torch.arange(self.latent_size, device=index.device) == index[..., None])

    conditional: bool = False
    """Whether `forward` takes the labels of the samples after the latents."""

    @abstractmethod
    def forward(self, latent: Tensor) -> Tensor: ...

    def draw(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """The samples of latents, with the labels that a conditional generator needs.

        These are whole numbers, shape `(batch,)`, or the weights of mixtures of classes, shape `(batch, classes)`, for
        walks from class to class.
        """
        samples: Tensor = self(latent, labels) if self.conditional else self(latent)
        return samples

    def density(self) -> Density | None:
        """The distribution of the samples; None if it is not known in closed form."""
        return None


class Critic(nn.Module, ABC):
    """Maps samples of shape `(batch, *sample_shape)` to raw scores of shape `(batch,)`, with no sigmoid."""

    conditional: bool = False
    """Whether `forward` takes the labels of the samples after them."""

    packing: int = 1
    """The number of samples that have one score together; above 1, scores have shape `(batch / packing,)`."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor: ...

    @property
    def judges_alone(self) -> bool:
        """Whether the score of a sample does not depend on the rest of the batch."""
        return not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in self.modules())


class Scoring:
    """A critic of samples alone: one that has its labels already, behind what stands before it.

    It is all that divergences, penalties and attacks see. `labels`, shape `(n,)`, are what a conditional critic needs.
    Of k·n samples number i has label i modulo n: a generated sample, or one between a real and a generated sample, has
    the label of the real one.
    """

    # No dataclass: it is made within compiled steps, where torch 2.11 loses the fields of a frozen one.
    def __init__(self, critic: Critic, labels: Tensor | None = None, augmentation: Augmentation | None = None) -> None:
        self.critic = critic
        self.labels = labels
        self.augmentation = augmentation or NoAugmentation()

    def __call__(self, x: Tensor) -> Tensor:
        """The scores of samples, or of packs of them, shape `(batch,)`."""
        x = self.augmentation(x if self.critic.packing == 1 else x.flatten(0, 1))
        given: tuple[Tensor, ...] = (x,)
        if self.critic.conditional:
            assert self.labels is not None
            given = (x, self.labels.repeat(len(x) // len(self.labels)))
        scores: Tensor = self.critic(*given)
        return scores

    def packs(self, x: Tensor) -> Tensor:
        """Samples as this takes them, one for each score: themselves, or packs of neighbours in the batch.

        Packs have shape `(batch / packing, packing, *sample_shape)`, so that what differentiates with respect to them,
        or interpolates between them, takes each as one.
        """
        return x if self.critic.packing == 1 else x.unflatten(0, (-1, self.critic.packing))

    def of_first(self, n: int) -> "Scoring":
        """This with the labels of the first `n` samples, or packs, of its batch."""
        return self if self.labels is None else self._with(self.labels[: n * self.critic.packing])

    def of_rest(self, n: int) -> "Scoring":
        """This with the labels of all real samples, or packs, but the first `n`, and then those of all fake ones."""
        if self.labels is None:
            return self
        return self._with(torch.cat([self.labels[n * self.critic.packing :], self.labels]))

    def both(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The scores of real and of fake samples, in one pass unless the one would change the other."""
        if not self.critic.judges_alone:
            return self(real), self(fake)
        real_scores, fake_scores = self(torch.cat([real, fake])).split([len(real), len(fake)])
        return real_scores, fake_scores

    def _with(self, labels: Tensor) -> "Scoring":
        return Scoring(self.critic, labels, self.augmentation)
