"""The Dirac-GAN as a game of two numbers: its velocities, its paths, and what it does about its equilibrium.

The data are the point 0, the generator is the point θ and the critic the line v(x) = ψx (Mescheder 2018, arXiv
1801.04406). Where both learn, they move along the field (−∂ generator's objective/∂θ, ∂(estimate − penalty)/∂ψ), and
all is well at (θ, ψ) = (0, 0).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_cli.divergences.base import Divergence
from gan_cli.models.base import Critic

Point = tuple[float, float]
"""θ and ψ."""

NEAR = 1e-3
"""Distance from the equilibrium at which its neighbourhood is measured."""

TOLERANCE = 2e-3
"""How far from 1 a measured radius may lie to count as 1."""

ZERO = 1e-9
"""The largest rounding error of a velocity."""

FLAT = 1e-3
"""The size of an eigenvalue, per unit of time, that counts as 0: a double one loses half of its digits."""


class LinearCritic(Critic):
    """v(x) = ψ · Σx."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.slope * x.flatten(1).sum(1)


class DiracGame:
    """The Dirac-GAN of a divergence and its penalty, by automatic differentiation of these."""

    def __init__(self, divergence: Divergence) -> None:
        self.divergence = divergence
        self._critic = LinearCritic()
        # Two samples at the same place, for divergences that look at pairs.
        self._real = torch.zeros(2, 1, dtype=torch.float64)
        self._fake = torch.zeros(2, 1, dtype=torch.float64, requires_grad=True)

    def generator_velocity(self, point: Point) -> float:
        """−∂ generator's objective/∂θ."""
        self._place(point)
        critic = self._critic
        objective = self.divergence.generator_objective(critic(self._fake), critic(self._real))
        return -torch.autograd.grad(objective, self._fake)[0].sum().item()

    def critic_velocity(self, point: Point) -> float:
        """∂(estimate − penalty)/∂ψ."""
        self._place(point)
        critic, real, fake = self._critic, self._real, self._fake.detach()
        gain = self.divergence.estimate(critic(real), critic(fake)) - self.divergence.penalty(critic, real, fake)
        return torch.autograd.grad(gain, critic.slope)[0].item()

    def field(self, point: Point) -> Point:
        """The velocity of both."""
        return self.generator_velocity(point), self.critic_velocity(point)

    def simultaneous(self, point: Point, step_size: float) -> Point:
        """A step of both from where both were."""
        velocity, slope = self.generator_velocity(point), self._critic_step(point, step_size)
        return point[0] + step_size * velocity, slope

    def alternating(self, point: Point, step_size: float) -> Point:
        """A step of the critic, then one of the generator against the new critic, as `training.train` takes them."""
        point = point[0], self._critic_step(point, step_size)
        return point[0] + step_size * self.generator_velocity(point), point[1]

    def _critic_step(self, point: Point, step_size: float) -> float:
        slope = point[1] + step_size * self.critic_velocity(point)
        self._place((point[0], slope))
        self.divergence.constrain(self._critic)
        return self._critic.slope.item()

    def _place(self, point: Point) -> None:
        with torch.no_grad():
            self._fake.fill_(point[0])
            self._critic.slope.fill_(point[1])

    def path(self, start: Point, step_size: float, steps: int, *, alternating: bool) -> Tensor:
        """The points that `steps` updates lead to, the start included, shape `(steps + 1, 2)`."""
        step = self.alternating if alternating else self.simultaneous
        points = [start]
        for _ in range(steps):
            points.append(step(points[-1], step_size))
        return torch.tensor(points, dtype=torch.float64)

    def jacobian(self) -> Tensor | None:
        """The derivative of the field at (0, 0), by central differences; None where it has none, or does not vanish."""
        if math.hypot(*self.field((0.0, 0.0))) > ZERO or self._has_kink():
            return None
        columns = []
        for axis in ((NEAR, 0.0), (0.0, NEAR)):
            above, below = (torch.tensor(self.field((s * axis[0], s * axis[1])), dtype=torch.float64) for s in (1, -1))
            columns.append((above - below) / (2 * NEAR))
        return torch.stack(columns, dim=1)

    def _has_kink(self) -> bool:
        """Whether the field stays away from 0, however near the equilibrium."""
        near, nearer = (
            max(math.hypot(*self.field((s * math.cos(a), s * math.sin(a)))) for a in (0.0, 1.6, 3.1, 4.7))
            for s in (NEAR, NEAR / 100)
        )
        return nearer > near / 2 > ZERO


@dataclass(frozen=True)
class Behaviour:
    """What a game does about its equilibrium, and from a start that can be seen."""

    verdict: str
    eigenvalues: list[complex] | None
    """Those of the Jacobian; None without one."""
    predicted: dict[str, float] | None
    """The spectral radius of an update at the equilibrium: `alternating` and `simultaneous`."""
    measured: dict[str, float]
    """The factor by which an update multiplies the distance to the equilibrium, near it."""
    path: Tensor
    """The points of alternating updates, shape `(steps + 1, 2)`."""

    def numbers(self) -> dict[str, object]:
        return {
            "verdict": self.verdict,
            "eigenvalues": self.eigenvalues and [[value.real, value.imag] for value in self.eigenvalues],
            "predicted_radius": self.predicted,
            "measured_radius": self.measured,
            "first_distance": self.path[0].norm().item(),
            "last_distance": self.path[-1].norm().item(),
        }


def behaviour(game: DiracGame, step_size: float, steps: int, start: float) -> Behaviour:
    """What the game does within `steps` updates."""
    jacobian = game.jacobian()
    near = NEAR / math.sqrt(2)
    balance = _balance(jacobian)
    alternating, simultaneous = (
        balance * game.path((near, near), step_size, steps, alternating=is_alternating)
        for is_alternating in (True, False)
    )
    return Behaviour(
        verdict=_verdict(game, jacobian, alternating),
        eigenvalues=None if jacobian is None else torch.linalg.eigvals(jacobian).tolist(),
        predicted=None if jacobian is None else spectral_radii(jacobian, step_size),
        measured={"alternating": radius(alternating), "simultaneous": radius(simultaneous)},
        path=game.path((start, start), step_size, steps, alternating=True),
    )


def _balance(jacobian: Tensor | None) -> Tensor:
    """Units of θ and ψ in which players of different speeds move on circles, and not on ellipses."""
    if jacobian is None:
        return torch.ones(2, dtype=torch.float64)
    pulls = torch.stack([jacobian[1, 0], jacobian[0, 1]]).abs()
    return (pulls / pulls.max()).sqrt() if pulls.min() > FLAT else torch.ones_like(pulls)


def updates(jacobian: Tensor, step_size: float) -> dict[str, Tensor]:
    """The derivative of an update at the equilibrium: I + hJ, or its two halves in turn, the critic's first."""
    identity = torch.eye(2, dtype=torch.float64)
    generator, critic = (identity + step_size * torch.diag(row) @ jacobian for row in identity)
    return {"alternating": generator @ critic, "simultaneous": identity + step_size * jacobian}


def spectral_radii(jacobian: Tensor, step_size: float) -> dict[str, float]:
    """The largest size of an eigenvalue of each kind of update."""
    return {
        name: torch.linalg.eigvals(update).abs().max().item() for name, update in updates(jacobian, step_size).items()
    }


def radius(path: Tensor) -> float:
    """The factor of the distance to (0, 0) from one point to the next: a straight line through its logarithms.

    Over the later half of the path only, when the slowest of the eigenvectors is all that is left.
    """
    logarithms = path[(len(path) - 1) // 2 :].norm(dim=1).clamp(min=1e-300).log()
    steps = torch.arange(len(logarithms), dtype=torch.float64)
    steps -= steps.mean()
    return math.exp((steps @ logarithms / steps.square().sum()).item())


def _verdict(game: DiracGame, jacobian: Tensor | None, path: Tensor) -> str:
    if math.hypot(*game.field((0.0, 0.0))) > ZERO:
        return "no equilibrium"
    if jacobian is None and path[-1].norm() > 10 * NEAR:
        return "never settles"  # thrown out at once, by a force that does not shrink with the distance
    if jacobian is not None and torch.linalg.eigvals(jacobian).abs().min() < FLAT:
        return "drifts"  # nothing pulls it back along the direction of the eigenvalue 0
    factor = radius(path)
    if abs(factor - 1) <= TOLERANCE:
        return "circles"
    return "converges" if factor < 1 else "diverges"
