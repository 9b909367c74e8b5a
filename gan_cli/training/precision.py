"""The number format of the networks' arithmetic; weights, losses and penalties stay in float32."""

import copy
import time
from dataclasses import replace

import torch
from torch import Tensor

from gan_cli.training.loop import Game, draw

TRIALS = 3

CLEARLY_SLOWER = 1.25
"""A processor without bfloat16 takes several times as long; less than this may be noise, which must not decide."""


def choose(requested: str, device: torch.device, game: Game, real: Tensor) -> tuple[str, str]:
    """The precision that a run gets, and the reason in brackets unless the choice was as asked.

    `real` is a batch of shape `(batch, *sample_shape)`; the networks of the game are left as they are.
    """
    if device.type == "cuda" or requested == "float32":
        return requested, ""
    if requested == "tf32":
        return "float32", " (device.precision=tf32 needs CUDA)"
    float32, bf16 = seconds(game, real), seconds(replace(game, bf16=True), real)
    measured = f"{bf16 * 1e3:.3g} ms for a step's gradients, {float32 * 1e3:.3g} ms in float32"
    if bf16 < CLEARLY_SLOWER * float32:
        return "bf16", f" ({measured})"
    return "float32", f" (device.precision=bf16 is slower here: {measured})"


def seconds(game: Game, real: Tensor) -> float:
    """The time of the gradients of both players' losses, the best of a few, on copies of the networks."""
    trial = replace(game, generator=copy.deepcopy(game.generator), critic=copy.deepcopy(game.critic))
    trial.generator.train()
    trial.critic.train()
    times = []
    with torch.random.fork_rng(devices=[]):
        for _ in range(TRIALS):
            start = time.perf_counter()
            with torch.set_grad_enabled(game.reuse_samples):
                fake = draw(trial, len(real))
            loss, *_ = trial.critic_loss(real, fake.detach())
            loss.backward(inputs=list(trial.critic.parameters()))
            if game.generator_learns:
                loss = trial.generator_loss(real, fake if game.reuse_samples else draw(trial, len(real)))
                loss.backward(inputs=list(trial.generator.parameters()))
            times.append(time.perf_counter() - start)
    return min(times)
