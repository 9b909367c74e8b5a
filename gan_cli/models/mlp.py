"""Multi-layer perceptrons for points and small images.

The shapes of f-GAN (1606.00709 §3–4) and of the WGAN-GP toys (1704.00028 §5.3) are among the settings.
"""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from gan_cli.datasets.base import Density
from gan_cli.datasets.mixtures import AffineGaussian
from gan_cli.models import base
from gan_cli.models.conditioning import LabelsIn, Layers, classes_taken, entrances, with_labels
from gan_cli.models.layers import Activation, Normalization, nonlinearity, normalized, projection
from gan_cli.ranges import Count


def _hidden_layers(
    inputs: int, hidden: Sequence[int], activation: Activation, normalization: Normalization, classes: int = 0
) -> tuple[list[nn.Module], int]:
    """The hidden layers, and the number of features that the last of them gives."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [*normalized(nn.Linear(inputs, width), normalization, width, classes), nonlinearity(activation)]
        inputs = width
    return layers, inputs


class Generator(base.Generator):
    """A perceptron with one linear layer after the hidden ones, then tanh for images.

    `hidden=[]` is the affine map z ↦ Wz + b, f-GAN's univariate model.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        latent_size: Count,
        latent: base.Latent,
        hidden: Sequence[Count],
        activation: Activation,
        normalization: Normalization,
        conditional: bool = False,
        labels: LabelsIn = "latent",
        class_count: int = 0,
    ) -> None:
        super().__init__(latent_size, latent)
        self.conditional = conditional
        self._beside, within = entrances(class_count, conditional, labels)
        if within and not hidden:
            raise ValueError(
                "labels=normalization needs hidden layers, which hidden=[] leaves out: choose labels=latent"
            )
        layers, features = _hidden_layers(latent_size + self._beside, hidden, activation, normalization, within)
        layers += [nn.Linear(features, prod(sample_shape)), nn.Unflatten(1, sample_shape)]
        if len(sample_shape) == 3:
            layers.append(nn.Tanh())
        self.layers = Layers(*layers)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        x: Tensor = self.layers(with_labels(latent, labels, self._beside), labels)
        return x

    def density(self) -> Density | None:
        affine = self.layers[0]
        if not isinstance(affine, nn.Linear) or len(self.layers) > 2 or self.latent != "normal" or self.conditional:
            return None
        try:
            return AffineGaussian(affine.weight.detach().cpu(), affine.bias.detach().cpu())
        except ValueError:  # a line or a point has no density in the plane
            return None


class Critic(base.Critic):
    """A perceptron with one score at its end."""

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        hidden: Sequence[Count],
        activation: Activation,
        normalization: Normalization,
        conditional: bool = False,
        class_count: int = 0,
    ) -> None:
        super().__init__()
        self.conditional = conditional
        layers, features = _hidden_layers(prod(sample_shape), hidden, activation, normalization)
        score = normalized(nn.Linear(features, 1), "spectral" if normalization == "spectral" else "none", 1)
        self.layers = nn.Sequential(nn.Flatten(), *layers, *score, nn.Flatten(0))

        self.class_score = projection(classes_taken(class_count, conditional), features, normalization)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        *hidden, score, flat = self.layers
        for layer in hidden:
            x = layer(x)
        scores: Tensor = flat(score(x))
        return scores if self.class_score is None else scores + self.class_score(x, labels)
