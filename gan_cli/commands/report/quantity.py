"""Which divergence a run's critic estimates: estimates of different divergences are different quantities."""

from gan_cli.runs.run import Run
from gan_cli.show.wording import setting

ESTIMATES = {"estimate", "exact", "held_out_estimate"}
"""The numbers whose meaning is the divergence's."""

METHOD = ("divergence.penalty", "divergence.critic_steps", "divergence.generator_loss", "divergence.link")
"""The keys that say how the players learn, not what is estimated."""


def of(run: Run) -> str:
    """The divergence in words: equal for two runs only if their critics estimate the same."""
    if "divergence._target_" not in run.config:
        return f"unknown divergence of {run.name}"
    settings = [
        f"{key.removeprefix('divergence.')}={setting(value)}"
        for key, value in run.config.items()
        if key.startswith("divergence.") and key != "divergence._target_" and not key.startswith(METHOD)
    ]
    if run.config.get("train.packing", 1) != 1:
        settings.append(f"of packs of {setting(run.config['train.packing'])}")
    target = str(run.config["divergence._target_"]).rpartition(".")[2]
    return ", ".join([target, *settings])


def losses_of(run: Run) -> str:
    """The divergence in words, and what the generator minimises."""
    loss = run.config.get("divergence.generator_loss")
    return of(run) if loss is None else f"{of(run)}, {loss} generator"
