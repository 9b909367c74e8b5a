"""How far an attack moves a critic's scores of real and of generated images, and how steep the critic is there.

Scores of real images are pushed down and those of generated ones up. Slopes and lengths are by the L2 norm of images in
[−1, 1], as gradient penalties measure them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from gan_cli.attacks.ball import lengths
from gan_cli.attacks.base import Attack
from gan_cli.attacks.examples import evaluating, strongest
from gan_cli.datasets.base import as_uint8, to_unit_range
from gan_cli.divergences.penalties import Place, between, with_squared_gradient_norm
from gan_cli.metrics.attacked import Parts, as_bytes_within, chunks
from gan_cli.metrics.base import Measured
from gan_cli.metrics.standard_errors import mean_of, share_of
from gan_cli.metrics.subject import Players
from gan_cli.models.base import Critic, Scoring

Side = Literal["real", "generated"]

TOWARDS: Mapping[Side, int] = {"real": -1, "generated": 1}
"""The way that the scores of each side are pushed."""


@dataclass(frozen=True)
class Judged:
    """A critic, and images that it judges, in [−1, 1] and on its device."""

    critic: Critic
    images: Mapping[Side, Tensor]
    """As many of each side, shape `(n, channels, height, width)`."""
    labels: Tensor | None = None
    """Shape `(n,)`: number i of the generated images has the label of number i of the real ones."""

    @classmethod
    def of(cls, subject: Players, n: int, *, as_bytes: bool = False) -> "Judged":
        """`n` images of each side, or as many as there are real ones; `as_bytes`: as files would hold them."""
        real, generated = subject.images(n)
        if as_bytes:
            generated = to_unit_range(as_uint8(generated))
        labels = None if real.labels is None else real.labels.to(generated.device)
        return cls(subject.critic, {"real": real.samples, "generated": generated}, labels)

    def __len__(self) -> int:
        return len(self.images["real"])

    def few(self, n: int) -> "Judged":
        """The same with the first `n` images of each side."""
        images = {side: of_side[:n] for side, of_side in self.images.items()}
        return Judged(self.critic, images, None if self.labels is None else self.labels[:n])

    def scoring(self, chunk: slice) -> Scoring:
        """The critic of the images of a chunk, which are not augmented."""
        return Scoring(self.critic, None if self.labels is None else self.labels[chunk])

    @property
    def device(self) -> torch.device:
        return self.images["real"].device


@dataclass(frozen=True)
class Moved:
    """What became of the images of one side, on the CPU."""

    images: Tensor
    """As the critic was shown them, in [−1, 1] unless pixels may leave the range."""
    before: Tensor
    """The scores of the originals, shape `(n,)`."""
    after: Tensor
    """The scores of these."""
    lengths: Tensor
    """The L2 norm of the change of each."""


def moved(
    attack: Attack,
    judged: Judged,
    side: Side,
    *,
    seed: int = 0,
    as_bytes: bool = False,
    parts: Parts = iter,
) -> Moved:
    """Attack the images of one side. With `as_bytes` the results have 8 bits a pixel, as the originals then must.

    The critic is in evaluation mode meanwhile, and computes in float32.
    """
    done = []
    for chunk in chunks(len(judged), judged.device, seed, f"attack {side}", parts):
        originals = judged.images[side][chunk].contiguous(memory_format=torch.channels_last)
        critic = judged.scoring(chunk)

        def objective(images: Tensor, critic: Scoring = critic) -> Tensor:
            return TOWARDS[side] * critic(images)

        with evaluating(judged.critic):
            changed = strongest(attack, originals, objective)
            if as_bytes:
                changed = to_unit_range(as_bytes_within(changed, as_uint8(originals)))
            changed = changed.contiguous(memory_format=torch.channels_last)
            with torch.no_grad():
                before, after = critic(originals), critic(changed)
        done.append((changed, before, after, lengths(changed - originals).flatten()))
    return Moved(*(torch.cat(of_chunks).cpu() for of_chunks in zip(*done, strict=True)))


def moved_numbers(real: Moved, generated: Moved, name: str) -> dict[str, Measured]:
    """What the attack `name` does to scores.

    - `moved/<side>/<name>`: by how much they are pushed, on average: down for real images, up for generated ones.
    - `slope/<side>/<name>`: the mean of that per length of the change; none if nothing changes.
    - `passed/<name>`: the share of generated images that then score above half of the real ones, as these were.
    """
    numbers: dict[str, Measured] = {}
    of_sides: dict[Side, Moved] = {"real": real, "generated": generated}
    for side, of_side in of_sides.items():
        pushed = TOWARDS[side] * (of_side.after - of_side.before)
        numbers[f"moved/{side}/{name}"] = mean_of(pushed)
        changes = of_side.lengths > 0
        if changes.any():
            numbers[f"slope/{side}/{name}"] = mean_of(pushed[changes] / of_side.lengths[changes])
    return numbers | {f"passed/{name}": _passed(real.before, generated.after)}


def critic_numbers(judged: Judged, *, seed: int = 0, parts: Parts = iter) -> dict[str, Measured]:
    """What the critic says of the images as they are.

    - `score/<side>`: the mean score.
    - `gradient/<place>`: the mean norm of its gradient, at the images and on the lines between pairs of them.
    - `passed/none`: the share of generated images that score above half of the real ones.
    """
    scores: dict[Place, list[Tensor]] = {"real": [], "generated": [], "between": []}
    norms: dict[Place, list[Tensor]] = {"real": [], "generated": [], "between": []}
    for chunk in chunks(len(judged), judged.device, seed, "between", parts):
        real, generated = judged.images["real"][chunk], judged.images["generated"][chunk]
        places: dict[Place, Tensor] = {"real": real, "generated": generated, "between": between(real, generated)}
        for place, images in places.items():
            with evaluating(judged.critic):
                of_images, squared = with_squared_gradient_norm(
                    judged.scoring(chunk), images.contiguous(memory_format=torch.channels_last)
                )
            scores[place].append(of_images.detach().cpu())
            norms[place].append(squared.detach().sqrt().cpu())
    of_real, of_generated = torch.cat(scores["real"]), torch.cat(scores["generated"])
    return {
        "score/real": mean_of(of_real),
        "score/generated": mean_of(of_generated),
        **{f"gradient/{place}": mean_of(torch.cat(of_place)) for place, of_place in norms.items()},
        "passed/none": _passed(of_real, of_generated),
    }


def _passed(real: Tensor, generated: Tensor) -> Measured:
    """The share of generated scores above the median of real ones; its error takes that median as it is."""
    return share_of((generated > real.median()).double().mean().item(), len(generated))
