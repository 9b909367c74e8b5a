"""Divergences from a toy density to one known by samples alone, through a Gaussian kernel estimate of the latter."""

import math
from functools import lru_cache, partial

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial import KDTree
from torch import Tensor

from gan_cli.datasets.base import Density
from gan_cli.divergences.base import Divergence
from gan_cli.exact.estimated import Estimated
from gan_cli.exact.quadrature import NODES, Nodes, in_float64, widened

KERNEL = {1: 0.05, 2: 0.25}
"""The deviation of the kernel, in deviations of the finest Gaussian of P, by dimensions."""

NARROW = 0.4
"""The least spacing of the samples, as a share of that of P's, for a kernel of P's size."""

QUERIES = 1000


class SampledDensity:
    """The density Q that samples of shape `(n, dimensions)` come from, beside a known P."""

    def __init__(self, p: Density, samples: Tensor) -> None:
        """Raises `ValueError` if P is too fine for samples to be counted in cells of its size."""
        x = samples.double().cpu()
        narrowness = _spacing(x) / _spacing(_like(p, len(x)))
        width = KERNEL[x.shape[1]] * p.resolution()
        if narrowness > NARROW:
            cells = _cells(p)
            nodes, widths = cells.nodes, (1.0, math.sqrt(2))
        else:
            # Cells of P's size would blur a collapsed generator; use cells sized by its own samples.
            width *= narrowness
            nodes, widths = partial(_occupied, p), (width, math.sqrt(2) * width)
        self._n = len(x)
        self._of_one_sample = _peak(x, width)
        self._whole = nodes(x, widths[0])
        self._halves = nodes(x[::2], widths[0]), nodes(x[1::2], widths[0])
        self._wider = nodes(x, widths[1])

    def divergence(self, divergence: Divergence) -> Estimated:
        """The estimate of the best critic between P and Q.

        The error has three parts: that of the samples; the bias of the two halves of the samples, taken to fall with
        the square root of their number; and what a kernel of twice the variance changes. The last two are estimates of
        biases, counted as if they were spread, so the interval holds the true value in more than 95 % of cases. An
        infinite value has an infinite error, because a tail without samples may be thin or absent.
        """
        whole = divergence.exact(*self._whole).item()
        if not math.isfinite(whole):
            return Estimated(whole, math.inf)
        halves = sum(divergence.exact(*half).item() for half in self._halves) / 2
        wider = divergence.exact(*self._wider).item()
        bias = abs(halves - whole) / (math.sqrt(2) - 1) + abs(wider - whole)
        error = math.hypot(self.standard_error(divergence), bias)
        return Estimated(whole, error if math.isfinite(error) else math.inf)

    def standard_error(self, divergence: Divergence) -> float:
        """The standard error by the delta method: a sample moves the value by its derivative at the sample, over n.

        Nodes with less density than a single sample gives are left out: there the value is not linear in Q.
        """
        log_p, log_q, weights = self._whole
        log_q = log_q.clone().requires_grad_()
        (slopes,) = torch.autograd.grad(divergence.exact(log_p, log_q, weights), log_q)
        log_q = log_q.detach()
        seen = log_q >= self._of_one_sample
        slopes, mass = slopes[seen], weights[seen] * log_q[seen].exp()
        variance = (slopes.square() / mass).sum() - slopes.sum().square() / mass.sum()
        return math.sqrt(variance.clamp(min=0).item() / self._n)


def _spacing(x: Tensor) -> float:
    """The median radius about a sample that holds 1 % of all samples on the line, 0.1 % in the plane."""
    share = 10.0 ** -(1 + x.shape[1])
    distances, _ = KDTree(x.numpy()).query(x[:QUERIES].numpy(), k=[max(2, round(share * len(x)))])
    return max(float(np.median(distances)), 1e-300)


@lru_cache(maxsize=1)
def _like(p: Density, n: int) -> Tensor:
    """`n` samples of P."""
    return p.sample(n, torch.Generator().manual_seed(0)).double()


def _peak(x: Tensor, deviation: float) -> float:
    """Return the log density that one of samples x has at its own place, for a kernel of this deviation."""
    return -x.shape[1] / 2 * math.log(2 * math.pi * deviation**2) - math.log(len(x))


def _occupied(p: Density, x: Tensor, width: float) -> Nodes:
    """P and the density of samples x at the cells that hold any; the rest of P is one node at which Q is 0."""
    cells, counts = np.unique(np.floor(x.numpy() / width), axis=0, return_counts=True)
    middles = torch.from_numpy((cells + 0.5) * width)
    log_p = torch.cat([p.log_density(part) for part in middles.split(5_000)])
    log_cell = x.shape[1] * math.log(width)
    log_q = (torch.from_numpy(counts).double() / len(x)).log() - log_cell
    weights = torch.full_like(log_p, math.exp(log_cell))
    rest = (1 - (weights * log_p.exp()).sum()).clamp(min=0).log()[None]
    nothing = torch.full_like(rest, -math.inf)
    return torch.cat([log_p, rest]), torch.cat([log_q, nothing]), torch.cat([weights, torch.ones_like(rest)])


@lru_cache(maxsize=1)
def _cells(p: Density) -> "_Cells":
    """The cells of P, kept so that the density of a run's data is computed once."""
    return _Cells(p)


def check(p: Density) -> None:
    """Raise `ValueError` if samples cannot be compared with P."""
    if p.support is not None or len(p.box()[0]) not in KERNEL:
        raise ValueError("needs data with a density on the line or in the plane: such as dataset=ring")
    _layout(p)


def _layout(p: Density) -> tuple[float, list[float], list[int]]:
    """The width of the cells, the lowest corner, and their number along each dimension."""
    width = p.resolution() * KERNEL[p.sample_shape[0]]
    low, high = widened(in_float64(p.box()), 1.25)
    counts = [math.ceil(extent / width) for extent in (high - low).tolist()]
    if math.prod(counts) > NODES:
        raise ValueError(f"the data are too fine to count samples beside them in {math.prod(counts):.1e} cells")
    return width, low.tolist(), counts


class _Cells:
    """Cells of one kernel width over all of P and around it, to count samples in."""

    def __init__(self, p: Density) -> None:
        self._p = p
        self._width, low, counts = _layout(p)
        self._edges = [
            edge + self._width * torch.arange(n + 1, dtype=torch.float64).numpy()
            for edge, n in zip(low, counts, strict=True)
        ]
        middles = torch.cartesian_prod(*(torch.from_numpy(edges[:-1] + self._width / 2) for edges in self._edges))
        middles = middles.reshape(math.prod(counts), -1)
        self._log_p = torch.cat([p.log_density(x) for x in middles.split(5_000)])

    def nodes(self, x: Tensor, blur: float) -> Nodes:
        """P and the density of samples x at the cells, for a kernel of `blur` cells."""
        shares = np.histogramdd(x.numpy(), self._edges)[0] / len(x)
        peak = _peak(x, blur * self._width)
        log_q = torch.from_numpy(self._smoothed(shares, blur, peak)).flatten()
        weights = torch.full_like(log_q, self._width**shares.ndim)
        near = _merge_unresolved((self._log_p, log_q, weights), peak)
        # Samples beyond the cells are too far from P to be near one another: each stands for its own kernel.
        low, high = (torch.tensor([edges[i] for edges in self._edges]) for i in (0, -1))
        outside = x[((x < low) | (x > high)).any(1)]
        log_q_outside = torch.full((len(outside),), peak, dtype=torch.float64)
        far = self._p.log_density(outside), log_q_outside, (-log_q_outside).exp() / len(x)
        log_p, log_q, weights = (torch.cat(both) for both in zip(near, far, strict=True))
        return log_p, log_q, weights

    def _smoothed(self, shares: np.ndarray, blur: float, peak: float) -> np.ndarray:
        """The logarithm of the density; far from all samples, that of the nearest one's kernel."""
        if not shares.any():
            return np.full_like(shares, -np.inf)
        smooth = gaussian_filter(shares, blur, mode="constant", truncate=6) / self._width**shares.ndim
        distance = distance_transform_edt(shares == 0)
        is_near = distance <= 5 * blur
        return np.where(is_near, np.log(np.where(is_near, smooth, 1)), peak - (distance / blur) ** 2 / 2)


def _merge_unresolved(nodes: Nodes, peak: float) -> Nodes:
    """Merge into one all nodes at which no sample of P is to be expected and none of Q is near.

    The density estimated there is the shape of the kernel's tail and nothing else.
    """
    log_p, log_q, weights = nodes
    unresolved = (log_q < peak) & (log_p < peak + math.log(10))
    volume = weights[unresolved].sum()
    mass_of_p, mass_of_q = ((of[unresolved].exp() * weights[unresolved]).sum() for of in (log_p, log_q))
    merged = (mass_of_p / volume).log(), (mass_of_q / volume).log(), volume
    log_p, log_q, weights = (torch.cat([of[~unresolved], one[None]]) for of, one in zip(nodes, merged, strict=True))
    return log_p, log_q, weights
