"""Count how often the interval of a number, value ± 1.96 errors, holds what it is about, in sets of samples drawn anew.

    python scripts/intervals.py                     # every number, 1,000 repetitions: eight minutes on two cores
    python scripts/intervals.py --only sliced --repetitions 200

An interval is about the true value if the case knows it, else about what as many samples give on average, which the
repetitions tell. P and Q differ, unless a case says that they are one. A number that falls out of 92 to 98 % ends the
command with exit code 1. An end is left out where intervals are known to be too wide (for P = Q, where distances vary
less than their derivatives say; for shares of nearly all samples; for the largest of equal differences; for exact
divergences of samples, whose errors count a bias as spread) or too narrow (in many dimensions).
"""

import argparse
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.datasets.base import Batch
from gan_cli.datasets.mixtures import Gaussian, Mixture1d, Ring
from gan_cli.divergences.base import Divergence
from gan_cli.exact.densities import between
from gan_cli.exact.estimated import QUANTILE
from gan_cli.exact.samples import SampledDensity
from gan_cli.metrics.base import Measured
from gan_cli.metrics.classes import classifier_score, histogram_divergence, largest_share_difference
from gan_cli.metrics.distances import squared_distances
from gan_cli.metrics.exact import held_out_estimate
from gan_cli.metrics.frechet import frechet_distance, moments, standard_error, unbiased_frechet_distance
from gan_cli.metrics.kernel import kernel_distance
from gan_cli.metrics.manifold import precision_recall
from gan_cli.metrics.neighbours import nearness, standard_errors
from gan_cli.metrics.parzen import log_likelihoods
from gan_cli.metrics.sliced import directions, sliced_wasserstein
from gan_cli.metrics.standard_errors import mean_of, share_of
from gan_cli.models.base import Critic

BOUNDS = 0.92, 0.98

Numbers = Mapping[str, Measured]
Sets = tuple[int, int, int, float, float]


@dataclass(frozen=True)
class Case:
    """Numbers measured on sets of samples that a seed draws."""

    measured: Callable[[int], Numbers]
    true: Callable[[], Mapping[str, float]] = dict
    """What numbers are about, where it is known."""
    wide: tuple[str, ...] = ()
    """How the names of numbers begin whose intervals may hold it more often than they say."""
    narrow: tuple[str, ...] = ()
    """The same for those that may hold it less often."""


def sets(seed: int, n: int, m: int, d: int, shift: float, scale: float) -> tuple[Tensor, Tensor]:
    """Samples of N(0, 1) and of N(shift, scale²)."""
    source = torch.Generator().manual_seed(seed)
    draw = partial(torch.randn, generator=source, dtype=torch.float64)
    return draw(n, d), scale * draw(m, d) + shift


def distances(seed: int, of: Sets) -> Numbers:
    x, y = sets(seed, *of)
    first, second = moments(x), moments(y)
    distance = frechet_distance(first, second).item()
    error = standard_error(x, y, first, second)
    return {
        "frechet_distance": Measured(distance, error),
        "frechet_unbiased": Measured(unbiased_frechet_distance(x, y, distance), error),
        "kernel_distance": kernel_distance(x, y),
    }


def true_frechet(d: int, shift: float, scale: float) -> dict[str, float]:
    return {"frechet_unbiased": d * (shift**2 + (1 - scale) ** 2)}


def neighbourhoods(seed: int, of: Sets) -> Numbers:
    return precision_recall(*sets(seed, *of), 5, seed)


def sliced(seed: int, of: Sets) -> Numbers:
    x, y = sets(seed, *of)
    return {"sliced_wasserstein": sliced_wasserstein(x, y, directions(100, x.shape[1], seed))}


def classes(seed: int, n: int, m: int, shares: tuple[float, ...]) -> Numbers:
    draws, k = np.random.default_rng(seed), len(shares)
    fake, real = (
        torch.from_numpy(draws.multinomial(size, of)).double() for size, of in ((n, shares), (m, [1 / k] * k))
    )
    logits = torch.from_numpy(draws.normal(size=(n, k)) * 2 + np.log(shares))
    return {
        "class_kl": histogram_divergence(fake, real / m, m),
        "class_share_difference": largest_share_difference(fake, real, seed),
        "class_share": share_of(fake[0].item() / n, n),
        "mode_kl": histogram_divergence(fake, torch.full_like(fake, 1 / k)),
        "classifier_score": classifier_score(logits.log_softmax(1)),
    }


def memorised(seed: int, n: int, m: int, nearer: float) -> Numbers:
    draws = np.random.default_rng(seed)
    fake, held_out = (torch.from_numpy(draws.gamma(20, size=size)) for size in (n, m))
    values, errors = nearness(fake * nearer, held_out, 0.01), standard_errors(fake * nearer, held_out, 0.01, seed)
    return dict(zip(("memorised_share", "closer_than_held_out"), map(Measured, values, errors), strict=True))


def means(seed: int) -> Numbers:
    """What a critic and a Parzen window say on average, both given."""
    real, fake = (points.float() for points in sets(seed, 5_000, 5_000, 2, 0.5, 0.8))
    subject: Any = SimpleNamespace(critic=Slope(), divergence=named("js"))
    centres, _ = sets(0, 1_000, 1, 2, 0.0, 1.0)
    squared = squared_distances(real.double(), centres)
    return {
        "held_out_estimate": held_out_estimate(subject, Batch(real), fake),
        "log_likelihood": mean_of(log_likelihoods(squared, [0.3], 2)[:, 0]),
    }


class Slope(Critic):
    """A critic that knows in which direction the samples are shifted."""

    def forward(self, x: Tensor) -> Tensor:
        return -x.sum(1)


LINE, CLOSE = Mixture1d([-1.0, 2.0], [0.255, 1.414], [0.33, 0.67]), Gaussian([1.0], 1.83)
RING, WIDER = Ring(modes=8, radius=2.0, deviation=0.02), Ring(modes=8, radius=2.0, deviation=0.03)
SOME = ("kl", "reverse_kl", "js", "total_variation", "squared_hellinger")


def named(name: str) -> Divergence:
    return build(options.option("divergence", name), Divergence, f"divergence.{name}")


def exact(seed: int, p: Mixture1d | Ring, q: Gaussian | Ring) -> Numbers:
    samples = q.sample(20_000, torch.Generator().manual_seed(seed))
    sampled = SampledDensity(p, samples)
    found = {name: sampled.divergence(named(name)) for name in SOME}
    return {f"exact {name}": Measured(of.value, of.error) for name, of in found.items()}


def true_divergences(p: Mixture1d | Ring, q: Gaussian | Ring) -> dict[str, float]:
    return {f"exact {name}": between(named(name), p, q) for name in SOME}


SETS: dict[str, Sets] = {
    "500 of each in 16 dimensions": (500, 500, 16, 0.1, 0.9),
    "1000 and 500 in 8, narrower": (1000, 500, 8, 0.0, 0.8),
    "400 of each in 2, shifted": (400, 400, 2, 0.5, 1.0),
    "1000 and 500 in 100": (1000, 500, 100, 0.1, 0.9),
    "P = Q: 400 of each in 16": (400, 400, 16, 0.0, 1.0),
}
SHARES = {
    "one share of ten larger": (0.15, *[0.85 / 9] * 9),
    "half larger, half smaller": (*[0.11] * 5, *[0.09] * 5),
    "P = Q": (*[0.1] * 10,),
}

EVERY = ("",)
WIDE = {
    "1000 and 500 in 8, narrower": ("precision",),  # 4 samples of 500 are outside
    "400 of each in 2, shifted": ("precision", "recall"),  # 5 of 400
    "1000 and 500 in 100": ("frechet_distance", "coverage"),  # most of which is bias; nearly all
    "half larger, half smaller": ("class_share_difference",),  # the largest of ten equal ones
    "P = Q: 400 of each in 16": EVERY,
    "P = Q": EVERY,
}
"""`Case.wide` by the names of sets and of shares."""

NARROW = {"1000 and 500 in 100": ("frechet_unbiased", "density")}  # a rest of bias; few balls that hold most samples
"""`Case.narrow` by the names of sets."""


def cases() -> dict[str, Case]:
    """The cases by what they measure and on which samples."""
    found = {}
    for name, of in SETS.items():
        wide, narrow = WIDE.get(name, ()), NARROW.get(name, ())
        found[f"distances, {name}"] = Case(partial(distances, of=of), partial(true_frechet, *of[2:]), wide, narrow)
        found[f"neighbourhoods, {name}"] = Case(partial(neighbourhoods, of=of), wide=wide, narrow=narrow)
        if of[0] == of[1]:
            found[f"sliced, {name}"] = Case(partial(sliced, of=of), wide=wide, narrow=narrow)
    for name, shares in SHARES.items():
        found[f"classes, {name}"] = Case(partial(classes, n=10_000, m=5_000, shares=shares), wide=WIDE.get(name, ()))
    found["memorised, a little nearer"] = Case(partial(memorised, n=2000, m=1000, nearer=0.95))
    found["means, of a critic and a window"] = Case(means)
    for name, p, q in (("a mixture and a Gaussian", LINE, CLOSE), ("a ring and a wider one", RING, WIDER)):
        found[f"exact, {name}"] = Case(partial(exact, p=p, q=q), partial(true_divergences, p, q), wide=EVERY)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose names begin so")
    parser.add_argument("--repetitions", type=int, default=1000)
    arguments = parser.parse_args()
    print(f"{'':50} {'mean':>9} {'about':>9} {'sd':>9} error/sd  held")
    outside = 0
    with ProcessPoolExecutor(os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for name, case in cases().items():
            if name.startswith(arguments.only):
                drawn = list(pool.map(case.measured, range(arguments.repetitions), chunksize=5))
                print(name)
                true = case.true()
                for number in drawn[0]:
                    low = 0 if number.startswith(case.narrow) else BOUNDS[0]
                    high = 1 if number.startswith(case.wide) else BOUNDS[1]
                    outside += not low <= held(number, drawn, true.get(number)) <= high
    print(f"!: out of {BOUNDS[0]:.0%} to {BOUNDS[1]:.0%}; {outside} of them for no reason that is known")
    sys.exit(outside > 0)


def held(number: str, drawn: Sequence[Numbers], true: float | None) -> float:
    """How often the intervals of a number hold what they are about; prints it."""
    values = np.array([of[number].value for of in drawn])
    errors = np.array([of[number].error for of in drawn])
    about = values.mean() if true is None else true
    share = np.mean(abs(values - about) <= QUANTILE * errors)
    ratio = math.sqrt(np.square(errors).mean()) / values.std()
    sign = "" if BOUNDS[0] <= share <= BOUNDS[1] else "  !"
    print(
        f"  {number:48} {values.mean():9.4g} {about:9.4g} {values.std():9.2g} {ratio:8.2f} {share:6.1%}{sign}",
        flush=True,
    )
    return float(share)


if __name__ == "__main__":
    main()
