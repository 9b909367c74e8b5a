"""The study of the non-saturating form: optima that are known, and members that it cannot judge."""

import pytest
import torch

from gan_cli.assembly.games import assemble
from gan_cli.jobs import GameJob
from gan_cli.models.toys import GaussianGenerator
from gan_cli.studies.non_saturating import NonSaturating
from tests.helpers.configs import compose
from tests.helpers.runs import record

KL, REVERSE_KL, PEARSON = (1.0100, 1.8307), (1.5780, 1.6312), (0.5737, 1.9273)
"""Mean and deviation of the Gaussians nearest to f-GAN's mixture, by its Table 3."""


def job(*overrides: str, form: str = "non_saturating") -> GameJob:
    toy = ("dataset=mixture1d", "model=gaussian", "metric=[]")
    return assemble(compose(*toy, f"divergence.generator_loss={form}", *overrides))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "descended", "named"),
    [
        ("kl", REVERSE_KL, KL),
        pytest.param("pearson", KL, PEARSON, marks=pytest.mark.slow),
        pytest.param("alpha:2", KL, PEARSON, marks=pytest.mark.slow),
    ],
)
def test_optima_are_those_of_what_the_form_descends_and_of_the_name(name, descended, named):
    option, _, alpha = name.partition(":")
    member = job(f"divergence={option}", *([f"divergence.alpha={alpha}"] if alpha else []))
    generator = member.state.average
    assert isinstance(generator, GaussianGenerator)
    with torch.no_grad():
        generator.mean.fill_(descended[0] + 0.03)
        generator.deviation.fill_(-descended[1] - 0.01)
    row = NonSaturating({}).conclude({name: member}).numbers["table"][name]
    assert (row["best_mean"], row["best_deviation"]) == pytest.approx(descended, abs=1e-3)
    assert (row["best_mean_of_name"], row["best_deviation_of_name"]) == pytest.approx(named, abs=1e-3)
    assert row["error"] == pytest.approx(0.03, abs=1e-3)


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (job("divergence=kl", form="minimax"), "generator_loss=non_saturating"),
        (job("divergence=kl", "dataset=ring", "model=mlp"), "data on the line"),
        (job("divergence=kl", "model=mlp"), "model=gaussian"),
    ],
)
def test_members_that_it_cannot_judge_are_refused(member, reason):
    with pytest.raises(ValueError, match=f"^kl must have .*{reason}"):
        NonSaturating({}).check({"kl": member})


@pytest.mark.slow
def test_fits_go_where_the_form_descends(gan_train, tmp_path):
    finished = gan_train("experiment=non_saturating", "name=study")
    assert finished.code == 0, finished.err
    table = record(tmp_path / "outputs" / "study")["final"]["table"]
    assert len(table) == 11
    assert sum(row["error"] < 0.05 for row in table.values()) >= 9
