"""Derivatives and maxima of functions that act elementwise, and the size of errors; all in float64."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]


def slope(function: Function, x: Tensor) -> Tensor:
    """The derivative by automatic differentiation, elementwise; of a mean, times the number of elements."""
    x = x.detach().clone().requires_grad_(True)
    value = function(x)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    return gradient * (x.numel() // value.numel())


def maximiser(function: Function, low: float, high: float, rows: int, points: int = 2001, rounds: int = 3) -> Tensor:
    """Where `function` is largest in each row, by scans that close in; it maps shape `(rows, points)` to the same."""
    position = torch.linspace(0, 1, points, dtype=torch.float64)
    start, end = (torch.full((rows, 1), edge, dtype=torch.float64) for edge in (low, high))
    for _ in range(rounds):
        x = start + (end - start) * position
        # ∞ − ∞ occurs far outside the domain, where nothing is gained.
        best = function(x).nan_to_num(-math.inf, math.inf, -math.inf).argmax(1, keepdim=True)
        start, end = x.gather(1, (best - 1).clamp(min=0)), x.gather(1, (best + 1).clamp(max=points - 1))
    return x.gather(1, best)[:, 0]


def largest(error: Tensor) -> float:
    """The largest size of any element; infinite if one is not finite."""
    return error.abs().nan_to_num(math.inf, math.inf).max().item()


def share(obeyed: Tensor) -> float:
    """The share of elements that are False."""
    return 1 - obeyed.double().mean().item()
