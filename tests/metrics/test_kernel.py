"""The kernel distance, against a double loop and torch-fidelity, and what its error covers."""

import pytest
import torch

from gan_cli.metrics.kernel import kernel_distance, kernel_means, polynomial_kernel


def pair(n, m, d, seed=0, shift=0.3):
    source = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=source, dtype=torch.float64)
    return x, torch.randn(m, d, generator=source, dtype=torch.float64) + shift


def by_double_loop(x, y):
    def k(a, b):
        return (float(a @ b) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    same_x = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    same_y = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return same_x + same_y - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


@pytest.mark.parametrize("sizes", [(2, 2), (12, 12), (7, 15)])
def test_it_is_that_of_a_double_loop(sizes):
    n, m = sizes
    x, y = pair(n, m, d=5)
    assert kernel_distance(x, y).value == pytest.approx(by_double_loop(x, y), rel=1e-10)


def test_it_is_that_of_torch_fidelity():
    reference = pytest.importorskip("torch_fidelity.metric_kid")
    x, y = pair(200, 200, d=32)
    options = {"kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1}
    kernels = [reference.kernel_poly(a.numpy(), b.numpy(), **options) for a, b in ((x, x), (x, y), (y, y))]
    known = reference.mmd2(*kernels)
    assert kernel_distance(x, y).value == pytest.approx(known, rel=1e-10)


def biased(x, y):
    return (polynomial_kernel(x, x).mean() + polynomial_kernel(y, y).mean() - 2 * polynomial_kernel(x, y).mean()).item()


@pytest.mark.parametrize(
    "wrong",
    [biased, lambda x, y: kernel_distance(x, y).value + polynomial_kernel(x, y).mean().item()],
    ids=["with the diagonal", "one cross term of two"],
)
def test_the_double_loop_would_notice(wrong):
    x, y = pair(12, 12, d=5)
    assert wrong(x, y) != pytest.approx(by_double_loop(x, y), rel=1e-2)


def test_blocks_do_not_change_it(monkeypatch):
    x, y = pair(50, 70, d=6)
    whole = kernel_distance(x, y)
    monkeypatch.setattr("gan_cli.metrics.distances.ENTRIES", 300)
    in_blocks = kernel_distance(x, y)
    assert in_blocks.value == pytest.approx(whole.value, rel=1e-12)
    assert in_blocks.error == pytest.approx(whole.error, rel=1e-10)


def test_the_means_are_over_all_others():
    x, _ = pair(6, 6, d=3)
    kernel = polynomial_kernel(x, x).fill_diagonal_(0)
    rows, columns, squares = kernel_means(x, x, without_diagonal=True)
    torch.testing.assert_close(rows, kernel.sum(1) / 5)
    torch.testing.assert_close(columns, kernel.sum(0) / 5)
    assert squares == pytest.approx(kernel.square().sum().item() / 30)


def between_gaussians(d, shift):
    """The distance between N(0, 1) and N(μ, 1), |μ|² = a, from their first three moments."""
    a = d * shift**2
    return 3 * a / d + 3 * a**2 / d**2 + (a**3 + 6 * a**2 + 3 * a * d + 6 * a) / d**3


@pytest.mark.thorough
@pytest.mark.parametrize(("n", "m", "d", "shift"), [(80, 80, 64, 0.0), (60, 120, 256, 0.0), (100, 100, 16, 0.4)])
def test_its_error_covers_the_truth_as_often_as_it_should(n, m, d, shift):
    truth = between_gaussians(d, shift)
    found = [kernel_distance(*pair(n, m, d, seed, shift)) for seed in range(400)]
    values = torch.tensor([each.value for each in found])
    mean_error = torch.tensor([each.error for each in found]).square().mean().sqrt()
    assert values.mean().item() == pytest.approx(truth, abs=4 * values.std().item() / 20)
    assert 0.87 < (mean_error / values.std()).item() < 1.15
    covered = sum(abs(each.value - truth) < 1.96 * each.error for each in found) / len(found)
    assert 0.92 < covered < 0.985


def test_its_error_is_hoeffdings_written_out():
    """Between sets of different sizes, so that none can stand in the place of the other."""
    x, y = pair(6, 9, d=3, shift=1.5)
    n, m = 6, 9
    in_x, in_y = (polynomial_kernel(of, of).fill_diagonal_(0) for of in (x, y))
    between = polynomial_kernel(x, y)

    def noise(kernel, rows, columns, pairs):
        """What is left of the kernel's variance once the means of its rows and columns are known."""
        known = rows.square().mean() + columns.square().mean() - rows.mean() ** 2
        return max(0.0, (kernel.square().sum() / pairs - known).item())

    x_rows, y_rows = in_x.sum(1) / (n - 1), in_y.sum(1) / (m - 1)
    noise_x, noise_y = noise(in_x, x_rows, x_rows, n * (n - 1)), noise(in_y, y_rows, y_rows, m * (m - 1))
    mixed = noise(between, between.mean(1), between.mean(0), n * m)
    first_x = (x_rows - between.mean(1)).var().item() - noise_x / (n - 1) - mixed / m
    first_y = (y_rows - between.mean(0)).var().item() - noise_y / (m - 1) - mixed / n
    assert first_x / n + first_y / m > 0
    second = 2 * noise_x / (n * (n - 1)) + 2 * noise_y / (m * (m - 1)) + 4 * mixed / (n * m)
    expected = (4 * first_x / n + 4 * first_y / m + second) ** 0.5
    assert kernel_distance(x, y).error == pytest.approx(expected, rel=1e-9)
