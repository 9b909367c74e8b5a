"""The training step, the averaged generator, the order of the data, and the state on disk."""

import math
from itertools import islice

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from gan_cli.datasets.mixtures import Ring
from gan_cli.divergences.fgan import Gan
from gan_cli.divergences.penalties import R1R2, Interpolate
from gan_cli.divergences.relativistic import Relativistic
from gan_cli.divergences.wasserstein import Wasserstein, WeightClippedWasserstein
from gan_cli.models import mlp
from gan_cli.randomness import begin
from gan_cli.runs import checkpoints
from gan_cli.runs.folder import RunFolder
from gan_cli.schedules import Constant, Cosine, Linear
from gan_cli.training.batches import Batches, batches
from gan_cli.training.loop import (
    Game,
    critic_step,
    draw,
    generator_step,
    train,
    update_average,
)
from gan_cli.training.scheduling import Scheduling
from gan_cli.training.state import TrainState, averaged_copy

RING = Ring(modes=8, radius=2.0, deviation=0.02)
GAN = Gan(generator_loss="non_saturating")


def new_state(seed=0, lr=1e-3, normalization="none", hidden=(16,)):
    torch.manual_seed(seed)
    generator = mlp.Generator((2,), 4, "normal", hidden, "relu", normalization)
    critic = mlp.Critic((2,), hidden, "leaky_relu", "none")
    return TrainState(
        generator=generator,
        critic=critic,
        average=averaged_copy(generator),
        generator_optimizer=torch.optim.Adam(generator.parameters(), lr, betas=(0.5, 0.999)),
        critic_optimizer=torch.optim.Adam(critic.parameters(), lr, betas=(0.5, 0.999)),
    )


def source(batch_size=32, seed=0):
    return batches(RING, batch_size, seed, torch.device("cpu"))


def game(state, divergence=GAN, **choices):
    return Game(state.generator, state.critic, divergence, **choices)


def batch():
    return source()(0, 1).unbind()[0]


def samples(state):
    return draw(game(state), batch())


def weights(network: nn.Module):
    return torch.cat([p.detach().flatten().clone() for p in network.parameters()])


def test_training_is_an_iterator_that_gives_detached_scalars():
    state = new_state()
    terms = list(islice(train(state, game(state), source(), steps=10, seed=0), 3))
    assert state.step == 3
    for step in terms:
        assert set(step) == {
            "estimate",
            "penalty",
            "critic_loss",
            "critic_gradient_norm",
            "generator_loss",
            "generator_gradient_norm",
        }
        assert all(value.shape == () and not value.requires_grad for value in step.values())


def test_the_critic_is_frozen_while_the_generator_learns():
    state = new_state()
    critic, generator = weights(state.critic), weights(state.generator)
    generator_step(state, game(state), batch(), samples(state))
    assert torch.equal(weights(state.critic), critic)
    assert not torch.equal(weights(state.generator), generator)
    assert all(p.grad is None for p in state.critic.parameters())


def test_the_generator_is_frozen_while_the_critic_learns():
    state = new_state()
    critic, generator = weights(state.critic), weights(state.generator)
    critic_step(state, game(state), batch(), samples(state))
    assert torch.equal(weights(state.generator), generator)
    assert not torch.equal(weights(state.critic), critic)


def test_critic_loss_is_the_penalty_less_the_estimate():
    divergence = Wasserstein(penalty=Interpolate(10.0))
    state = new_state()
    terms = critic_step(state, game(state, divergence), batch(), samples(state))
    torch.testing.assert_close(terms["critic_loss"], terms["penalty"] - terms["estimate"])
    assert terms["penalty"] > 0


def test_the_terms_of_a_step_are_what_autograd_gives_by_hand():
    """The norms are those of the gradient of the loss, over all parameters of the player that moves."""
    divergence = Wasserstein(penalty=Interpolate(10.0))
    state = new_state()
    real, fake = batch(), samples(state).detach()

    torch.manual_seed(5)
    penalty = divergence.penalty(state.critic, real.samples, fake)
    estimate = state.critic(real.samples).mean() - state.critic(fake).mean()
    of_critic = torch.autograd.grad(penalty - estimate, list(state.critic.parameters()))
    torch.manual_seed(5)
    terms = critic_step(state, game(state, divergence), real, fake)
    expected = {
        "penalty": penalty,
        "estimate": estimate,
        "critic_loss": penalty - estimate,
        "critic_gradient_norm": of_critic,
    }

    fake = samples(state)
    loss = -state.critic(fake).mean()
    of_generator = torch.autograd.grad(loss, list(state.generator.parameters()), retain_graph=True)
    terms |= generator_step(state, game(state, divergence), real, fake)
    expected |= {"generator_loss": loss, "generator_gradient_norm": of_generator}

    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        norm = torch.cat([part.flatten() for part in value]).norm() if isinstance(value, tuple) else value
        torch.testing.assert_close(terms[name], norm.detach())


def test_critic_steps_follow_the_divergence_and_use_batches_of_their_own():
    asked = []

    class Recording(Batches):
        description = "recorded"

        def __call__(self, first, count):
            asked.append((first, count))
            return source()(first, count)

    state = new_state()
    list(islice(train(state, game(state, Wasserstein(critic_steps=3)), Recording(), steps=2, seed=0), 2))
    assert asked == [(0, 3), (3, 3)]


def test_clipping_holds_after_every_step():
    state = new_state()
    clipped = game(state, WeightClippedWasserstein(clip=0.01, critic_steps=2))
    for _ in islice(train(state, clipped, source(), steps=3, seed=0), 3):
        assert weights(state.critic).abs().max() <= 0.01 + 1e-9


def test_a_frozen_generator_leaves_the_critic_to_train_alone():
    state = new_state()
    generator, critic = weights(state.generator), weights(state.critic)
    (terms,) = islice(train(state, game(state, generator_trained=False), source(), steps=1, seed=0), 1)
    assert "generator_loss" not in terms
    assert torch.equal(weights(state.generator), generator)
    assert not torch.equal(weights(state.critic), critic)


@pytest.mark.parametrize("critic_steps", [1, 3])
def test_reused_samples_are_those_of_the_critics_last_step(critic_steps):
    """Beside what a tutorial writes: one batch of samples, detached for the critic and then judged anew."""
    divergence = Gan(generator_loss="non_saturating", penalty=Interpolate(10.0), critic_steps=critic_steps)
    ours, theirs = new_state(), new_state()
    list(train(ours, game(ours, divergence, reuse_samples=True), source(), steps=2, seed=0))
    for step in range(2):
        begin(torch.default_generator, 0, "step", step)
        for real in source()(step * critic_steps, critic_steps).samples:
            fake = theirs.generator(theirs.generator.sample_latent(32))
            theirs.critic_optimizer.zero_grad()
            penalty = divergence.penalty(theirs.critic, real, fake.detach())
            (penalty + softplus(-theirs.critic(real)).mean() + softplus(theirs.critic(fake.detach())).mean()).backward()
            theirs.critic_optimizer.step()
        theirs.generator_optimizer.zero_grad()
        softplus(-theirs.critic(fake)).mean().backward()
        theirs.generator_optimizer.step()
    torch.testing.assert_close(weights(ours.generator), weights(theirs.generator))
    torch.testing.assert_close(weights(ours.critic), weights(theirs.critic))


def test_a_pairing_divergence_is_given_the_scores_of_real_samples():
    class Spy(Relativistic):
        def generator_objective(self, fake, real):
            seen.append(real)
            return super().generator_objective(fake, real)

    seen: list[torch.Tensor] = []
    state = new_state()
    generator_step(state, game(state, Spy()), batch(), samples(state))
    assert seen[0] is not None
    assert seen[0].shape == (32,)
    assert not seen[0].requires_grad


@pytest.mark.parametrize("position", [0, 7])
def test_a_step_depends_on_the_seed_and_its_index_alone(position):
    """Whatever was drawn before from torch's global stream makes no difference."""
    results = []
    for noise in (0, 5):
        state = new_state()
        state.step = position
        iterator = train(state, game(state), source(), steps=100, seed=3)
        torch.randn(noise)
        next(iterator)
        torch.randn(noise)
        next(iterator)
        results.append(state.fingerprint())
    assert results[0] == results[1]


def test_another_seed_gives_another_run():
    fingerprints = set()
    for seed in (0, 1):
        state = new_state()
        list(train(state, game(state), source(), steps=3, seed=seed))
        fingerprints.add(state.fingerprint())
    assert len(fingerprints) == 2


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Constant(1.0), [1, 1, 1, 1]),
        (Linear(1.0, 0.0, None), [1, 0.75, 0.5, 0.25]),
        (Cosine(1.0, 0.0, None), [(1 + math.cos(math.pi * progress)) / 2 for progress in (0, 0.25, 0.5, 0.75)]),
    ],
)
def test_schedule_scales_the_learning_rate_of_each_step(schedule, expected):
    state = new_state(lr=1e-3)
    rates = [
        (state.generator_optimizer.param_groups[0]["lr"], state.critic_optimizer.param_groups[0]["lr"])
        for _ in train(state, game(state), source(), steps=4, seed=0, scheduling=Scheduling(rates=schedule))
    ]
    assert [rate[0] for rate in rates] == pytest.approx([1e-3 * factor for factor in expected])
    assert [rate[1] for rate in rates] == pytest.approx([1e-3 * factor for factor in expected])


def test_average_moves_by_its_decay_and_copies_counters():
    state = new_state(normalization="batch")
    before = {name: tensor.clone() for name, tensor in state.average.state_dict().items()}
    with torch.no_grad():
        for parameter in state.generator.parameters():
            parameter.add_(1.0)
    state.generator(torch.randn(8, 4))
    update_average(state, torch.tensor(0.25))
    current = state.generator.state_dict()
    for name, tensor in state.average.state_dict().items():
        expected = current[name] if not tensor.is_floating_point() else 0.75 * before[name] + 0.25 * current[name]
        torch.testing.assert_close(tensor, expected)


def test_without_decay_the_average_is_the_generator():
    state = new_state()
    list(train(state, game(state), source(), steps=3, seed=0, scheduling=Scheduling(average_decay=0.0)))
    assert torch.equal(weights(state.average), weights(state.generator))


def test_a_gan_brings_the_points_to_the_ring():
    """Convergence in a few seconds: the mean distance to the ring falls far below that of the first samples."""
    state = new_state(lr=2e-3, hidden=(64, 64))
    latent = state.generator.sample_latent(500, torch.Generator().manual_seed(0))
    distances = []
    for steps in (1, 1000):
        list(train(state, game(state, Relativistic(penalty=R1R2(0.1))), source(64), steps=steps, seed=0))
        with torch.no_grad():
            distances.append((state.average(latent).norm(dim=1) - 2).abs().mean().item())
    assert distances[1] < 0.25 * distances[0]


def test_state_survives_the_disk_bit_for_bit(tmp_path):
    state = new_state()
    list(train(state, game(state), source(), steps=3, seed=0))
    path = checkpoints.save(RunFolder(tmp_path), state.state_dict(), keep=1)
    other = new_state(seed=9)
    assert other.fingerprint() != state.fingerprint()
    other.load_state_dict(checkpoints.load(path))
    assert other.fingerprint() == state.fingerprint()
    assert other.step == 3


def test_fingerprint_sees_a_change_in_one_bit_of_any_part():
    state = new_state()
    list(train(state, game(state), source(), steps=1, seed=0))
    seen = {state.fingerprint()}
    for tensor in (
        next(state.generator.parameters()),
        next(state.critic.parameters()),
        next(state.average.parameters()),
        next(iter(state.critic_optimizer.state.values()))["exp_avg"],
    ):
        with torch.no_grad():
            flat = tensor.view(-1)
            flat[0] = torch.nextafter(flat[0], torch.tensor(9e9))
        seen.add(state.fingerprint())
    assert len(seen) == 5


def test_a_state_with_a_nan_is_not_finite():
    state = new_state()
    assert state.is_finite()
    with torch.no_grad():
        next(state.average.parameters()).view(-1)[0] = math.nan
    assert not state.is_finite()


def test_a_checkpoint_has_its_parts_under_the_names_that_runs_before_have():
    names = ("step", "generator", "critic", "average", "generator_optimizer", "critic_optimizer")
    assert tuple(new_state().state_dict()) == names
