"""Labels in games: where they enter the players, and what follows from the mathematics of conditional divergences."""

import copy
import json
import math
from typing import Any

import pytest
import torch
from omegaconf import open_dict
from torch import Tensor, nn

from gan_cli import sampling
from gan_cli.assembly.games import assemble
from gan_cli.config import options
from gan_cli.config.identity import differences
from gan_cli.datasets.base import Batch, Density, Images
from gan_cli.datasets.mixtures import Gaussian, Ring
from gan_cli.errors import ConfigError
from gan_cli.exact.densities import between
from gan_cli.metrics.base import flat
from gan_cli.metrics.exact import ExactDivergence
from gan_cli.metrics.extractors.raw import Raw
from gan_cli.metrics.samples import RealSamples
from gan_cli.metrics.subject import Players
from gan_cli.models import dcgan, mlp, resnet
from gan_cli.models.base import Generator
from gan_cli.models.conditioning import ClassNormalization, ClassVectors, class_weights
from gan_cli.models.layers import normalized
from tests.helpers.configs import DIVERGENCES, PENALTIES, TINY, compose, divergence
from tests.helpers.resuming import advance, assert_resumes_exactly
from tests.helpers.runs import record, train

RING = Ring(modes=8, radius=2.0, deviation=0.02)
CPU = torch.device("cpu")

CONDITIONAL = (*TINY, "model.conditional=true")
SMALL = ("dataset=mnist5k", "dataset.resolution=16", "train.batch_size=8", "train.steps=2", "model.conditional=true")
MODELS = {
    "mlp": ["model=mlp"],
    "dcgan": ["model=dcgan", "model.generator.width=4", "model.critic.width=4"],
    "resnet": [
        "model=resnet",
        *(f"model.{of}.{width}=4" for of in ("generator", "critic") for width in ("width", "max_width")),
    ],
}


# The players


@pytest.mark.thorough
@pytest.mark.parametrize("labels", ["latent", "normalization"])
@pytest.mark.parametrize("normalization", ["batch", "layer"])
@pytest.mark.parametrize("model", MODELS)
def test_labels_change_what_every_model_draws_and_how_it_is_judged(model, normalization, labels):
    changes = [f"model.generator.labels={labels}", f"model.generator.normalization={normalization}"]
    state = advance(assemble(compose(*SMALL, *MODELS[model], *changes)), 2).state
    latent = sampling.latents(state.generator, 4, 0)
    threes, fives = (torch.full((4,), label) for label in (3, 5))
    of_threes, of_fives = (sampling.generate(state.generator, latent, labels) for labels in (threes, fives))
    assert not torch.allclose(of_threes, of_fives)
    state.critic.eval()
    with torch.no_grad():
        assert not torch.allclose(*(state.critic(of_threes, labels) for labels in (threes, fives)))


@pytest.mark.parametrize("labels", ["latent", "normalization"])
def test_weights_of_one_class_are_that_class_and_others_a_mixture(labels):
    torch.manual_seed(0)
    generator = mlp.Generator((2,), 3, "normal", [8], "relu", "batch", conditional=True, labels=labels, class_count=4)
    for parameter in generator.parameters():  # normalisations begin alike for all classes
        nn.init.normal_(parameter)
    latent, asked = sampling.latents(generator, 5, 0), torch.tensor([0, 1, 2, 3, 3])
    weights = nn.functional.one_hot(asked, 4).float()
    plain, weighted = (sampling.generate(generator, latent, given) for given in (asked, weights))
    torch.testing.assert_close(plain, weighted)
    mixed = sampling.generate(generator, latent, (weights + weights.flip(0)) / 2)
    assert not torch.allclose(mixed, plain)


def test_a_class_has_its_own_scale_and_shift():
    torch.manual_seed(0)
    layer = ClassNormalization(nn.BatchNorm1d(3, affine=False), 3, classes=2).double()
    x = torch.randn(50, 3, dtype=torch.float64)
    labels = torch.arange(50) % 2
    normal = (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(layer(x, labels), normal)
    layer.scale.weight.data = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]], dtype=torch.float64)
    layer.shift.weight.data = torch.tensor([[5.0, 6.0, 7.0], [8.0, 9.0, 10.0]], dtype=torch.float64)
    expected = normal * (1 + layer.scale.weight[labels]) + layer.shift.weight[labels]
    torch.testing.assert_close(layer(x, labels), expected)


@pytest.mark.parametrize("kind", [mlp, dcgan, resnet], ids=lambda kind: kind.__name__.rpartition(".")[2])
def test_the_score_is_that_of_the_sample_and_the_projection_of_its_features_onto_the_class(kind):
    torch.manual_seed(0)
    own = {"hidden": [6]} if kind is mlp else {"width": 4} | ({"max_width": 4} if kind is resnet else {})
    critic = kind.Critic((1, 16, 16), **own, activation="relu", normalization="none", conditional=True, class_count=3)
    x = torch.randn(5, 1, 16, 16)
    scores = torch.stack([critic(x, torch.full((5,), label)) for label in range(3)])
    vectors = critic.class_score.vectors.weight
    seen = []
    critic.class_score.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    critic(x, torch.zeros(5, dtype=torch.int64))
    torch.testing.assert_close(scores - scores[0], (vectors - vectors[0]) @ seen[0].T)


@pytest.mark.parametrize("normalization", ["none", "spectral"])
@pytest.mark.parametrize("model", MODELS)
def test_labels_in_normalisations_need_some(model, normalization):
    changes = ["model.generator.labels=normalization", f"model.generator.normalization={normalization}"]
    with pytest.raises(ConfigError, match=r"model\.generator\.labels=normalization needs features that are normalised"):
        assemble(compose(*SMALL, *MODELS[model], *changes))


def test_labels_in_normalisations_need_hidden_layers():
    changes = ["labels=normalization", "normalization=batch", "hidden=[]"]
    with pytest.raises(ConfigError, match=r"model\.generator\.labels=normalization needs hidden layers"):
        assemble(compose(*CONDITIONAL, *(f"model.generator.{change}" for change in changes)))


def test_generators_of_theorems_take_no_labels():
    with pytest.raises(ConfigError, match=r"^model\.conditional=true: its generator takes no labels: choose model=mlp"):
        assemble(compose("dataset=ring", "model=gaussian", "model.conditional=true", "metric=[]"))


@pytest.mark.thorough
@pytest.mark.parametrize("model", options.names("model"))
def test_a_run_without_the_keys_of_labels_goes_on(model):
    """As one of an earlier version, to which each key has the default of its class."""
    now = compose("dataset=ring", f"model={model}", "metric=[]")
    then = copy.deepcopy(now)
    with open_dict(then):
        for node in (then.model, then.model.generator, then.model.critic):
            for key in ("conditional", "labels"):
                node.pop(key, None)
    assert "conditional" in now.model
    assert differences(then, now) == []
    assert differences(then, compose("dataset=ring", f"model={model}", "metric=[]", "model.conditional=true"))


def test_a_spectral_norm_iterates_once_for_each_look_at_a_class():
    torch.manual_seed(0)
    (vectors,) = normalized(ClassVectors(4, 3), "spectral", 3)
    seen: list[None] = []
    parametrizations: Any = vectors.parametrizations
    parametrizations.weight[0].register_forward_hook(lambda *_: seen.append(None))
    vectors(torch.tensor([0, 1]))
    assert len(seen) == 1


@pytest.mark.parametrize("data", ["swiss_roll", "parallel_lines"])
def test_data_without_labels_are_refused(data):
    with pytest.raises(ConfigError, match=r"model\.generator\.conditional=true needs data with labels, such as"):
        assemble(compose(f"dataset={data}", "metric=[]", "model=mlp", "model.conditional=true"))


def test_packs_have_no_one_label():
    with pytest.raises(ConfigError, match=r"one at a time: choose train\.packing=1"):
        assemble(compose(*CONDITIONAL, "train.packing=2"))


# Games


@pytest.mark.thorough
@pytest.mark.parametrize("name", DIVERGENCES)
def test_every_divergence_takes_steps_with_labels_and_resumes_bit_for_bit(name, tmp_path):
    assert_resumes_exactly(5, tmp_path, *CONDITIONAL, f"divergence={name}")


@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_penalty_takes_steps_with_labels(penalty):
    (*_, terms) = assemble(compose(*CONDITIONAL, f"divergence/penalty={penalty}", "train.steps=2")).terms()
    assert all(math.isfinite(value) for value in terms.values())


@pytest.mark.thorough
@pytest.mark.parametrize("model", MODELS)
def test_every_model_resumes_bit_for_bit_with_labels(model, tmp_path):
    assert_resumes_exactly(2, tmp_path, *SMALL[:-2], SMALL[-1], *MODELS[model])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("name", DIVERGENCES)
def test_every_divergence_is_compiled_with_labels(name):
    changes = [f"divergence={name}", "train.steps=3"]
    eager, compiled = (
        assemble(compose(*CONDITIONAL, *changes, f"device.accelerate={how}")) for how in ("eager", "compile")
    )
    for job in (eager, compiled):
        advance(job, 3)
    assert compiled.mode == "compile"
    for mine, other in zip(compiled.state.critic.parameters(), eager.state.critic.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4)


# Theory


class Ignores(Generator):
    """Points about the origin, whatever the label."""

    conditional = True

    def __init__(self, deviation: float) -> None:
        super().__init__(2, "normal")
        self.deviation = nn.Parameter(torch.tensor(deviation))

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.deviation * latent


class Uninformed(Gaussian):
    """One Gaussian with labels that say nothing."""

    def __init__(self, classes: int) -> None:
        super().__init__([0.0, 0.0], 1.0)
        self.classes = [str(label) for label in range(classes)]

    def batch(self, n: int, generator: torch.Generator) -> Batch:
        labels = torch.randint(len(self.classes), (n,), generator=generator)
        return Batch(super().batch(n, generator).samples, labels)

    def class_shares(self) -> Tensor:
        return torch.full((len(self.classes),), 1 / len(self.classes), dtype=torch.float64)

    def of_class(self, label: int) -> Density:
        return Gaussian([0.0, 0.0], 1.0)


def measured(dataset: Density, generator: Generator, name: str, samples: int, *, conditional: bool) -> dict[str, float]:
    torch.manual_seed(0)
    critic = mlp.Critic((2,), [8], "tanh", "none", conditional=conditional, class_count=len(dataset.classes))
    real = RealSamples(dataset, Raw(), 0, CPU)
    return flat(ExactDivergence(samples)(Players(real, 0, generator, generator, critic, divergence(name))))


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["gan", "kl", "squared_hellinger", "wgan_gp"])
def test_labels_that_say_nothing_leave_the_divergence_what_it_is(name):
    data, generator = Uninformed(4), Ignores(1.5)
    with_labels = measured(data, generator, name, 80_000, conditional=True)
    without = measured(data, generator, name, 80_000, conditional=False)
    within = math.hypot(with_labels["exact_error"], without["exact_error"])
    assert with_labels["exact"] == pytest.approx(without["exact"], abs=2.5 * within)
    assert within < 0.5 * abs(without["exact"])


def test_labels_that_say_all_add_what_the_generator_does_not_know():
    """Where P and Q agree but for the labels, JSD between joint distributions is what the label says of the sample."""

    class Blind(Ignores):
        def __init__(self) -> None:
            super().__init__(0.02)
            self.latent_size = 3

        def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
            modes = (8 * torch.special.ndtr(latent[:, 0])).long().clamp(max=7)
            return RING.means[modes].float() + self.deviation * latent[:, 1:]

    blind = measured(RING, Blind(), "gan", 80_000, conditional=True)
    # Of 8 equal classes: 2·JSD(p_y ‖ mean of all) − log 4.
    p, q = torch.tensor([1.0, *[0.0] * 7]), torch.full((8,), 1 / 8)
    m = (p + q) / 2
    jsd = (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).sum().item()
    assert blind["exact"] == pytest.approx(jsd - math.log(4), abs=max(0.05, 3 * blind["exact_error"]))
    assert blind["exact/3"] == pytest.approx(blind["exact"], abs=0.05)
    assert measured(RING, Blind(), "gan", 80_000, conditional=False)["exact"] == pytest.approx(-math.log(4), abs=0.05)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["kl", "mmd"])
def test_exact_is_the_mean_within_classes_by_their_shares(name):
    """Of `mmd`, which is 2·TV², it is total variation that has a mean."""

    class Two(Gaussian):
        """Three quarters about 0, the rest about 3."""

        def __init__(self) -> None:
            super().__init__([0.0, 0.0], 1.0)
            self.classes = ["near", "far"]

        def batch(self, n: int, generator: torch.Generator) -> Batch:
            labels = (torch.rand(n, generator=generator) < 0.25).long()
            return Batch(3.0 * labels[:, None] + super().batch(n, generator).samples, labels)

        def class_shares(self) -> Tensor:
            return torch.tensor([0.75, 0.25], dtype=torch.float64)

        def of_class(self, label: int) -> Density:
            return Gaussian([3.0 * label] * 2, 1.0)

    found = measured(Two(), Ignores(1.5), name, 80_000, conditional=True)
    q = Gaussian([0.0, 0.0], 1.5)
    near, far = (between(divergence(name), Gaussian([mean] * 2, 1.0), q) for mean in (0.0, 3.0))
    assert found["exact/near"] == pytest.approx(near, abs=3 * found["exact/near_error"])
    assert found["exact/far"] == pytest.approx(far, abs=3 * found["exact/far_error"])
    power = divergence(name).power
    near, far = (found[f"exact/{name}"] ** (1 / power) for name in ("near", "far"))
    assert found["exact"] == pytest.approx((0.75 * near + 0.25 * far) ** power)


def test_the_best_projection_critic_knows_the_ratio_within_each_class():
    """On a discrete toy with a one-hot sample the projection is a table, and its optimum log p(x|y)/q(x|y)."""
    source = torch.Generator().manual_seed(0)
    outcomes, classes = 5, 3
    p, q = (torch.rand(classes, outcomes, generator=source, dtype=torch.float64) + 0.2 for _ in range(2))
    p, q = p / p.sum(1, keepdim=True), q / q.sum(1, keepdim=True)
    critic = mlp.Critic((outcomes,), [], "relu", "none", conditional=True, class_count=classes).double()
    x = torch.eye(outcomes, dtype=torch.float64).repeat(classes, 1)
    y = torch.arange(classes).repeat_interleave(outcomes)
    optimizer = torch.optim.LBFGS(
        critic.parameters(), max_iter=500, line_search_fn="strong_wolfe", tolerance_grad=1e-10
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        v = critic(x, y)
        # The estimate of the original GAN, as an expectation over all outcomes: classes are equally frequent.
        on_p, on_q = nn.functional.logsigmoid(v), nn.functional.logsigmoid(-v)
        value: Tensor = -(p.flatten() * on_p + q.flatten() * on_q).sum()
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        torch.testing.assert_close(critic(x, y), (p / q).log().flatten(), atol=0.02, rtol=0)
        blind = critic(x, torch.zeros_like(y))
        assert (blind - (p / q).log().flatten()).abs().max() > 0.2


def test_class_weights_of_labels_are_one_hot_and_weights_stay():
    labels = torch.tensor([2, 0, 1])
    torch.testing.assert_close(class_weights(labels, 3).float(), torch.eye(3)[labels])
    weights = torch.rand(4, 3)
    assert class_weights(weights, 3) is weights


# Data


def test_the_modes_of_a_mixture_are_its_classes_and_their_labels_leave_the_points_as_they_were():
    batch = RING.batch(1000, torch.Generator().manual_seed(3))
    torch.testing.assert_close(batch.samples, RING.sample(1000, torch.Generator().manual_seed(3)))
    assert batch.labels is not None
    nearest = torch.cdist(batch.samples, RING.means.float()).argmin(1)
    torch.testing.assert_close(batch.labels, nearest)
    assert list(RING.classes) == list("01234567")


def test_shares_of_classes_are_those_of_the_labels():
    images = Images(torch.zeros(4, 1, 4, 4, dtype=torch.uint8), torch.tensor([0, 2, 2, 2]))
    images.classes = ["a", "b", "c"]
    assert images.class_shares().tolist() == [0.25, 0, 0.75]


@pytest.mark.thorough
def test_a_run_with_labels_tells_its_classes_and_the_ring_is_learned_by_class(tmp_path):
    changes = ["dataset=ring", "model.conditional=true", "train.steps=1500", "optimizer=adam_fast"]
    folder = train(tmp_path / "run", *changes, "metric.exact.samples=20000", "every.evaluate=null")
    told = record(folder)
    assert told["classes"] == {str(mode): 0.125 for mode in range(8)}
    final = told["final"]
    assert final["class_agreement"] >= 0.99
    assert {f"exact/{mode}" for mode in range(8)} <= final.keys()
    mean = sum(final[f"exact/{mode}"] for mode in range(8)) / 8
    assert final["exact"] == pytest.approx(mean)


class Thirds(Images):
    """Three classes that nobody named."""

    def __init__(self) -> None:
        super().__init__(torch.zeros(30, 1, 8, 8, dtype=torch.uint8), torch.arange(30) % 3)


def test_labels_without_names_are_refused():
    config = compose(*SMALL[:-1], *MODELS["dcgan"])
    config.dataset = {"_target_": f"{__name__}.Thirds"}
    config.model.generator = {"_target_": f"{__name__}.Shades"}
    with pytest.raises(ConfigError, match=r"^dataset has labels without names: let Thirds set its `classes`"):
        assemble(config)


class Shades(Generator):
    """A grey value for each class."""

    conditional = True

    def __init__(self, sample_shape: tuple[int, ...]) -> None:
        super().__init__(2, "normal")
        self.sample_shape = sample_shape
        self.shades = nn.Parameter(torch.zeros(3))

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        return self.shades[labels].reshape(-1, 1, 1, 1).expand(-1, *self.sample_shape)


def test_a_run_goes_on_with_the_classes_that_it_began_with_only(tmp_path):
    folder = train(tmp_path / "run", *CONDITIONAL, "train.steps=2")
    told = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(told | {"classes": {"a": 0.5, "b": 0.5}}))
    with pytest.raises(ConfigError, match="was trained on other classes: restore them, or choose another name="):
        train(folder, *CONDITIONAL, "train.steps=4")


# Samples of classes


def test_samples_are_spread_over_classes_as_near_to_their_shares_as_whole_numbers_come():
    assert sampling.allotted(10, [0.5, 0.25, 0.25]) == [5, 3, 2]
    assert sampling.allotted(7, [0.6, 0.0, 0.4]) == [4, 0, 3]
    assert sampling.allotted(2, [1.0, 1.0, 1.0]) == [1, 1, 0]
    for n in range(30):
        counts = sampling.allotted(n, [0.31, 0.07, 0.42, 0.2])
        assert sum(counts) == n
        assert all(abs(count - n * share) < 1 for count, share in zip(counts, [0.31, 0.07, 0.42, 0.2], strict=True))


def test_few_samples_of_many_classes_are_drawn_by_their_shares():
    shares = [0.9, *[0.1 / 999] * 999]
    first = sampling.drawn_counts(64, shares, seed=0)
    assert sum(first) == 64
    assert 45 < first[0] < 64
    assert first == sampling.drawn_counts(64, shares, seed=0) != sampling.drawn_counts(64, shares, seed=1)


def test_a_grid_shows_all_classes_or_some_at_equal_distances():
    assert sampling.shown_classes("abc") == ["a", "b", "c"]
    assert sampling.shown_classes([str(index) for index in range(1000)]) == [str(50 * index) for index in range(20)]
