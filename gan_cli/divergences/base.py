"""What every adversarial divergence has in common."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from gan_cli.divergences.penalties import NoPenalty, Penalty
from gan_cli.ranges import Count


@dataclass(frozen=True, kw_only=True)
class Divergence(ABC):
    """A game between a critic and a generator, for P = data and Q = model.

    `real` and `fake` are the critic's raw scores of samples from P and Q, each of shape `(batch,)`.
    """

    critic_steps: Count = 1
    """Critic updates for each generator update."""

    penalty: Penalty = field(default_factory=NoPenalty)

    unit: ClassVar[str] = ""
    """The unit of the estimate, for the axis of a plot."""

    pairs_samples: ClassVar[bool] = False
    """Whether the objectives compare fake scores with real ones, and are no sums over samples."""

    power: ClassVar[int] = 1
    """The power of an integral that the exact value is: integrals over parts of the space add up under its root."""

    @abstractmethod
    def estimate(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the critic maximises, a scalar."""

    @abstractmethod
    def generator_objective(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """What the generator minimises, a scalar; `real` is given where the divergence pairs samples."""

    def exact(self, log_p: Tensor, log_q: Tensor, weights: Tensor) -> Tensor:
        """The estimate at the best of all critics, a scalar, by quadrature.

        `log_p` and `log_q` are the logarithms of the densities at nodes with these weights, in float64 and of shape
        `(nodes,)`. Raises `NotImplementedError` if the best critic has no closed form.
        """
        raise NotImplementedError(f"{type(self).__name__} has no closed form")

    def exact_of_distance(self, distance: float) -> float:
        """The same from W₁(P, Q). Raises `NotImplementedError` if the distance does not determine it."""
        raise NotImplementedError(f"{type(self).__name__} is not a function of the distance W₁")

    def constrain(self, critic: nn.Module) -> None:  # noqa: B027 - most need nothing
        """Bring the critic back into its class of functions after an update; most divergences need nothing."""
