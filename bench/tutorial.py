"""GAN training as tutorials write it: the baseline that bench/speed.py holds the program against.

The loops follow pytorch/examples (dcgan), PyTorch-GAN (wgan_gp.py, relativistic_gan.py) and R3GAN's trainer. What is
typical of such scripts and costs time is marked "typical"; nothing is slower than in these scripts, and if they differ
the faster one is taken. The networks are the program's own architectures in plain layers: as many parameters,
the same functions.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.utils.data import Dataset
from torchvision import transforms

Batch = tuple[Tensor, Tensor]
Losses = tuple[float, float]
Loop = Callable[[nn.Module, nn.Module, Iterable[Batch], torch.device, int], Iterator[Losses]]
"""Trains a generator and a critic on a loader's batches, given the size of the latents, for ever."""

CRITIC_STEPS = 5
"""Critic steps of `wgan_gp`; the other loops take one for each generator step."""


class Pictures(Dataset[tuple[Tensor, int]]):
    """Pictures one by one, as torchvision's MNIST and CIFAR10 serve them (typical): array → PIL → tensor → [−1, 1]."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        """`images` of shape `(n, height, width)` or `(n, height, width, 3)`."""
        self.images = images
        self.targets = [0] * len(images)
        channels = (0.5,) * (1 if images.ndim == 3 else 3)
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(channels, channels)])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.targets[index]


class InMemory:
    """Batches out of one tensor on the device: what remains of a loader's work if the rest is done beforehand."""

    def __init__(self, images: Tensor, batch_size: int) -> None:
        self.images = images
        self.targets = torch.zeros(len(images), dtype=torch.long, device=images.device)
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[Batch]:
        for index in torch.randperm(len(self.images), device=self.images.device).split(self.batch_size):
            yield self.images[index], self.targets[index]


def gan(
    generator: nn.Module, critic: nn.Module, loader: Iterable[Batch], device: torch.device, latent_size: int
) -> Iterator[Losses]:
    """The original GAN, after pytorch/examples: one batch of samples serves both players."""
    criterion = nn.BCEWithLogitsLoss()
    optimizer_g, optimizer_c = _adam(generator), _adam(critic)
    while True:
        for images, _ in loader:
            real = images.to(device)
            ones, zeros = torch.ones(len(real), device=device), torch.zeros(len(real), device=device)

            optimizer_c.zero_grad()
            fake = generator(torch.randn(len(real), latent_size, device=device))
            loss_c = criterion(critic(real), ones) + criterion(critic(fake.detach()), zeros)
            loss_c.backward()
            optimizer_c.step()

            optimizer_g.zero_grad()
            loss_g = criterion(critic(fake), ones)
            loss_g.backward()  # typical: the critic's gradients are computed too, and thrown away
            optimizer_g.step()

            yield loss_c.item(), loss_g.item()  # typical: waits for the device at every step


def wgan_gp(
    generator: nn.Module, critic: nn.Module, loader: Iterable[Batch], device: torch.device, latent_size: int
) -> Iterator[Losses]:
    """WGAN with gradient penalty, after PyTorch-GAN: the generator learns at every fifth batch."""
    optimizer_g, optimizer_c = _adam(generator), _adam(critic)
    while True:
        for index, (images, _) in enumerate(loader, start=1):
            real = images.to(device)

            optimizer_c.zero_grad()
            noise = torch.randn(len(real), latent_size, device=device)
            fake = generator(noise).detach()  # typical: a graph that nobody uses
            loss_c = critic(fake).mean() - critic(real).mean() + 10 * _gradient_penalty(critic, real, fake)
            loss_c.backward()
            optimizer_c.step()
            critic_loss = loss_c.item()  # typical, as above

            if index % CRITIC_STEPS == 0:
                optimizer_g.zero_grad()
                loss_g = -critic(generator(noise)).mean()
                loss_g.backward()
                optimizer_g.step()
                yield critic_loss, loss_g.item()


def relativistic(
    generator: nn.Module, critic: nn.Module, loader: Iterable[Batch], device: torch.device, latent_size: int
) -> Iterator[Losses]:
    """Relativistic pairing with R1 and R2, after R3GAN: the penalties share the forward passes of the scores."""
    optimizer_g, optimizer_c = _adam(generator), _adam(critic)
    while True:
        for images, _ in loader:
            real = images.to(device).requires_grad_(True)

            optimizer_c.zero_grad()
            fake = generator(torch.randn(len(real), latent_size, device=device))
            judged = fake.detach().requires_grad_(True)
            real_scores, fake_scores = critic(real), critic(judged)
            penalty = (_squared_gradient(real_scores, real) + _squared_gradient(fake_scores, judged)) / 2
            loss_c = softplus(fake_scores - real_scores).mean() + penalty
            loss_c.backward()
            optimizer_c.step()

            optimizer_g.zero_grad()
            real_scores = critic(real.detach()).detach()
            loss_g = softplus(real_scores - critic(fake)).mean()
            loss_g.backward()
            optimizer_g.step()

            yield loss_c.item(), loss_g.item()


def _adam(network: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))


def _gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    alpha = torch.rand(len(real), 1, 1, 1, device=real.device)
    between = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    scores = critic(between)
    (gradients,) = torch.autograd.grad(
        outputs=scores, inputs=between, grad_outputs=torch.ones_like(scores), create_graph=True, retain_graph=True
    )
    return ((gradients.view(len(real), -1).norm(2, dim=1) - 1) ** 2).mean()


def _squared_gradient(scores: Tensor, x: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(outputs=scores.sum(), inputs=x, create_graph=True)
    return gradient.square().sum([1, 2, 3]).mean()


def mlp(latent_size: int, side: int) -> tuple[nn.Module, nn.Module]:
    """Perceptrons for pictures of one channel: generator, critic."""

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]

    generator = nn.Sequential(
        *block(latent_size, 128),
        *block(128, 256),
        *block(256, 512),
        *block(512, 1024),
        nn.Linear(1024, side * side),
        nn.Tanh(),
        nn.Unflatten(1, (1, side, side)),
    )
    critic = nn.Sequential(
        nn.Flatten(),
        nn.Linear(side * side, 512),
        nn.LeakyReLU(0.2),
        nn.Linear(512, 256),
        nn.LeakyReLU(0.2),
        nn.Linear(256, 1),
        nn.Flatten(0),
    )
    return generator, critic


def dcgan(latent_size: int, side: int, width: int) -> tuple[nn.Module, nn.Module]:
    """A DCGAN for pictures of one channel and 28 or 32 pixels a side, which enlarges by resizing: generator, critic."""

    def enlarge(inputs: int, outputs: int, side: int) -> list[nn.Module]:
        return [nn.ReLU(), nn.Upsample(size=(side, side)), nn.Conv2d(inputs, outputs, 3, padding=1)]

    quarter, half = side // 4, side // 2
    generator = nn.Sequential(
        nn.Linear(latent_size, 4 * width * 16),
        nn.Unflatten(1, (4 * width, 4, 4)),
        nn.BatchNorm2d(4 * width),
        *enlarge(4 * width, 2 * width, quarter),
        nn.BatchNorm2d(2 * width),
        *enlarge(2 * width, width, half),
        nn.BatchNorm2d(width),
        *enlarge(width, 1, side),
        nn.Tanh(),
    )
    critic = nn.Sequential(
        nn.Conv2d(1, width, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 4 * width, 4 - quarter % 2, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(4 * width * 16, 1),
        nn.Flatten(0),
    )
    return generator, critic


class Sum(nn.Module):
    """A residual block: what its two branches give, added."""

    def __init__(self, shortcut: nn.Module, residual: nn.Module) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.residual(x)


def resnet(latent_size: int, width: int) -> tuple[nn.Module, nn.Module]:
    """WGAN-GP's networks for CIFAR-10, 3 channels and 32 pixels a side: generator, critic."""

    def convolution() -> nn.Module:
        return nn.Conv2d(width, width, 3, padding=1)

    def enlarging() -> nn.Module:
        residual = [nn.BatchNorm2d(width), nn.ReLU(), nn.Upsample(scale_factor=2), convolution()]
        residual += [nn.BatchNorm2d(width), nn.ReLU(), convolution()]
        return Sum(nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 1)), nn.Sequential(*residual))

    def first() -> nn.Module:
        residual = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), convolution(), nn.AvgPool2d(2)]
        return Sum(nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, width, 1)), nn.Sequential(*residual))

    def halving() -> nn.Module:
        residual = [nn.ReLU(), convolution(), nn.ReLU(), convolution(), nn.AvgPool2d(2)]
        return Sum(nn.Sequential(nn.Conv2d(width, width, 1), nn.AvgPool2d(2)), nn.Sequential(*residual))

    def keeping() -> nn.Module:
        return Sum(nn.Identity(), nn.Sequential(nn.ReLU(), convolution(), nn.ReLU(), convolution()))

    generator = nn.Sequential(
        nn.Linear(latent_size, width * 16),
        nn.Unflatten(1, (width, 4, 4)),
        *(enlarging() for _ in range(3)),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, 3, 3, padding=1),
        nn.Tanh(),
    )
    pooled = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    critic = nn.Sequential(
        first(), halving(), keeping(), keeping(), nn.ReLU(), *pooled, nn.Linear(width, 1), nn.Flatten(0)
    )
    return generator, critic
