"""Cells of nodes: their weights, their parts, and the finer ones where two functions cross."""

import math

import pytest
import torch

from gan_cli.exact.quadrature import KINK, Cells, Lattice, resolved


def corners(*points):
    return torch.tensor(points, dtype=torch.float64)


UNIT = Cells(corners((0.0, 0.0), (1.0, 0.0)), corners((1.0, 1.0), (1.0, 1.0)), nodes_per_side=8)


def integral(cells, integrand):
    x, weights = cells.nodes()
    return (weights * integrand(x)).sum().item()


def test_cells_and_their_parts_integrate_polynomials_exactly():
    def polynomial(x):
        return x[..., 0] ** 5 * x[..., 1] ** 3

    stated = 2**6 / 6 / 4
    parts = UNIT.parts(torch.tensor([True, True]))
    assert integral(UNIT, polynomial) == pytest.approx(stated, rel=1e-12)
    assert integral(parts, polynomial) == pytest.approx(stated, rel=1e-12)
    assert parts.nodes()[1].sum().item() == pytest.approx(2, rel=1e-12)
    assert integral(UNIT.parts(torch.tensor([False, True])), polynomial) == pytest.approx(stated * (1 - 2**-6))
    assert sum(integral(some, polynomial) for some in UNIT.split()) == pytest.approx(stated, rel=1e-12)


def test_the_cells_of_a_lattice_leave_its_hollow_out():
    box = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    inner = Lattice.over(box, 0.5)
    around = Lattice.around(inner, (box[0] - 1, box[1] + 2), 0.4)
    area = around.cells().nodes()[1].sum().item()
    low, high = around.box
    assert area == pytest.approx((high - low).prod().item() - 1, rel=1e-12)
    assert around.cells().corners.shape[0] == math.prod(around.panels) - 9


def error(functions, stated, least, most=1e9):
    nodes, unresolved = resolved(UNIT, functions, lambda a, b: (a - b).abs(), least=least, most=most)
    value = sum((weights * (a - b).abs()).sum().item() for a, b, weights in nodes)
    area = sum(weights.sum().item() for *_, weights in nodes)
    assert area == pytest.approx(2, rel=1e-12)
    return abs(value - stated), unresolved, sum(len(weights) for *_, weights in nodes)


@pytest.mark.parametrize(
    ("functions", "stated"),
    [
        (lambda x: (x[:, 0], torch.full_like(x[:, 0], 0.3)), (0.3**2 + 1.7**2) / 2),
        # The crossing lies between a border and the outermost nodes.
        (lambda x: (x[:, 1], torch.full_like(x[:, 0], 0.99)), 0.99**2 + 0.01**2),
        # A quarter of a disc about the corner.
        (lambda x: (x.square().sum(1), torch.full_like(x[:, 0], 0.25)), 10 / 3 - 0.5 + math.pi / 64),
    ],
    ids=["line", "near a border", "circle"],
)
def test_finer_cells_have_smaller_errors_and_none_above_the_bound(functions, stated):
    errors = []
    for least in (1.0, 1e-4, 1e-7, 1e-10):
        found, unresolved, _ = error(functions, stated, least)
        assert found <= KINK * unresolved + 1e-14
        errors.append(unresolved)
    assert errors == sorted(errors, reverse=True)
    assert KINK * errors[-1] < 2e-6


def test_cells_are_divided_where_functions_cross_alone_and_up_to_the_limit():
    def apart(x):
        return x[:, 0], x[:, 0] + 1

    def across(x):
        return x[:, 0], x[:, 1]

    assert error(apart, 2.0, 1e-9) == (pytest.approx(0, abs=1e-12), 0.0, 128)
    assert error(lambda x: (x[:, 0], x[:, 0]), 0.0, 1e-9)[1:] == (0.0, 128)
    few, many = (error(across, 4 / 3, 1e-9, most)[2] for most in (2_000, 100_000))
    assert 128 < few < 2_000 < many < 100_000
