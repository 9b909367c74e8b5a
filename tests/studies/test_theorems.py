"""What the studies of theorems must show: exact optima at once, learned ones by the whole commands (slow)."""

import math

import pytest
import torch
from omegaconf import OmegaConf

from gan_cli.assembly.games import assemble
from gan_cli.config.identity import differences
from gan_cli.datasets.mixtures import Gaussian, Mixture1d
from gan_cli.exact.best_fit import Fit
from gan_cli.exact.densities import between, bound
from gan_cli.models.mlp import Critic
from gan_cli.studies.fgan_univariate import Row, _is_papers, _table
from tests.helpers.configs import compose, divergence
from tests.helpers.runs import record

DATA = Mixture1d([-1.0, 2.0], [0.255, math.sqrt(2)], [0.33, 0.67])


@pytest.mark.parametrize("name", ["kl", "reverse_kl", "js", "jeffreys", "pearson"])
def test_the_bound_of_an_untrained_critic_is_below_the_exact_value(name):
    torch.manual_seed(0)
    of, model = divergence(name), Gaussian([1.0], 1.8)
    untrained = Critic((1,), hidden=[8], activation="tanh", normalization="none")
    assert bound(of, untrained, DATA, model) < between(of, DATA, model)


def test_optima_that_tie_and_published_rows_stand_below_the_nearest_optimum():
    row = Row(exact=0.7, bound=0.6, best_mean=4.0, mean=3.9, best_deviation=1.0, deviation=1.1)
    table = _table({"kl": row}, {"kl": [Fit(-4.0, 1.5, 0.7), Fit(4.0, 1.0, 0.7)]}, {"kl": [1, 2, 3, 4, 5, 6]})
    assert [line.split() for line in table.splitlines()[1:]] == [
        ["kl", "0.7000", "0.6000", "4.0000", "3.9000", "1.0000", "1.1000"],
        ["also", "optimal", "0.7000", "-4.0000", "1.5000"],
        ["published", "1", "2", "3", "4", "5", "6"],
    ]


@pytest.mark.parametrize(
    ("data", "papers"),
    [
        ([], True),
        (["dataset.means=[-4,4]"], False),
        (["dataset.weights=[0.5,0.5]"], False),
        (["dataset=gaussian"], False),
    ],
)
def test_published_rows_are_of_the_papers_mixture_alone(data, papers):
    job = assemble(compose("dataset=mixture1d", "model=gaussian", "divergence=kl", "metric=[]", *data))
    assert _is_papers(job) == papers


def test_a_study_goes_on_beside_other_published_rows():
    old, new = (OmegaConf.create({"study": {"published": rows}}) for rows in ({"kl": [0.2831, 0.2801]}, {}))
    assert differences(old, new) == []


class LogRatio(torch.nn.Module):
    def forward(self, x):
        return 1 + DATA.log_density(x.double()) - Gaussian([1.0], 1.8).log_density(x.double())


def test_the_best_critic_of_kl_reaches_the_exact_value():
    model = Gaussian([1.0], 1.8)
    kl = divergence("kl:link=paper")
    # Scores pass through float32.
    assert bound(kl, LogRatio(), DATA, model) == pytest.approx(between(kl, DATA, model))


@pytest.fixture
def study(gan_train, tmp_path):
    """The findings of an experiment, carried out in full by its command."""

    def carry_out(experiment: str) -> dict:
        finished = gan_train(f"experiment={experiment}", "name=study")
        assert finished.code == 0, finished.err
        return record(tmp_path / "outputs" / "study")["final"]

    return carry_out


@pytest.mark.slow
def test_f_gans_table_3_is_learned(study):
    findings = study("fgan_univariate")
    for name, row in findings["table"].items():
        assert row["mean"] == pytest.approx(row["best_mean"], abs=0.05), name
        assert row["deviation"] == pytest.approx(row["best_deviation"], abs=0.05), name
        assert 0.95 * row["exact"] < row["bound"] < row["exact"], name
    for matrix in (findings["exact_matrix"], findings["learned_matrix"]):
        for measured in matrix:
            assert min(matrix, key=lambda trained: matrix[trained][measured]) == measured
    for trained, row in findings["learned_matrix"].items():
        for measured, value in row.items():
            assert value < findings["exact_matrix"][trained][measured]


@pytest.mark.slow
def test_the_discriminator_becomes_the_best_one(study):
    assert study("optimal_discriminator")["critic"]["mean_absolute_error"] <= 0.02


@pytest.mark.slow
def test_js_is_blind_between_parallel_lines_and_distance_is_not(study):
    findings = study("js_saturation")
    for index, theta in enumerate(findings["theta"]):
        at = {name: values[index] for name, values in findings.items() if name != "exact"}
        assert at["jensen_shannon"] == pytest.approx(math.log(2), rel=0.02)
        assert at["wasserstein"] == pytest.approx(abs(theta), rel=0.02)
        assert at["wasserstein_gradient"] == pytest.approx(1, rel=0.02)
        assert abs(at["minimax_gradient"]) < 1e-3 * at["wasserstein_gradient"]
        assert at["non_saturating_gradient"] > 2
    assert findings["exact"] == {"kl": "Infinity", "reverse_kl": "Infinity", "js": 2 * math.log(2)}
