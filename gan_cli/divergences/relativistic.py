"""The relativistic pairing GAN: real samples compared with fake ones, pair by pair."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from gan_cli.divergences.base import Divergence


@dataclass(frozen=True, kw_only=True)
class Relativistic(Divergence):
    """RpGAN, as used by R3GAN: the critic compares a real with a generated sample.

    The generator's objective is the non-saturating form.

    critic: E[log σ(v_real − v_fake)]
    generator: E[−log σ(v_fake − v_real)]
    best: a function of pairs, not of samples
    value: −log 2 for P = Q, 0 for P and Q that it can tell apart
    source: Jolicoeur-Martineau 2018, arXiv 1807.00734; Huang 2024, arXiv 2501.05441
    """

    unit: ClassVar[str] = "nats"
    pairs_samples: ClassVar[bool] = True

    def estimate(self, real: Tensor, fake: Tensor) -> Tensor:
        return logsigmoid(real - fake).mean()

    def generator_objective(self, fake: Tensor, real: Tensor | None) -> Tensor:
        assert real is not None
        return softplus(real - fake).mean()
