"""Configs of earlier versions, in today's words."""

from typing import Any

from gan_cli.config.renamed import renewed


def modernised(config: Any) -> Any:
    """The config of a run, as plain mappings and lists, as today's version would say it."""
    renamed = renewed(config)
    train = renamed.get("train") if isinstance(renamed, dict) else None
    # Before there were augmentations, every decay of the average had the warm-up that is a schedule now.
    if isinstance(train, dict) and "augmentation" not in renamed:
        decay = train.get("average_decay")
        if isinstance(decay, int | float):
            renamed["train"] = train | {"average_decay": f"warm_up:decay={decay}"}
    return renamed
