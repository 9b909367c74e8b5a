"""Configs of earlier versions, in today's words."""

from typing import Any

from gan_cli.config.renamed import renewed

WARM_UP = "gan_cli.schedules.WarmUp"


def todays(config: Any) -> Any:
    """The config of a run, as plain mappings and lists, as today's version would say it."""
    renamed = renewed(config)
    train = renamed.get("train") if isinstance(renamed, dict) else None
    # Before there were augmentations, every decay of the average had the warm-up that is a schedule now.
    if isinstance(train, dict) and "augmentation" not in renamed:
        decay = train.get("average_decay")
        if isinstance(decay, int | float):
            renamed["train"] = train | {"average_decay": {"_target_": WARM_UP, "decay": decay}}
    return renamed
