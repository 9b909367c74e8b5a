"""The receipt of numbers that were just measured."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from gan_cli.metrics.base import Measured
from gan_cli.runs import record
from gan_cli.runs.receipts import Receipt, Request


def receipt_of(
    request: Request,
    device: torch.device,
    *,
    numbers: Mapping[str, Measured] | None = None,
    samples: Mapping[str, int] | None = None,
    refused: str | None = None,
    origin: Mapping[str, Any] | None = None,
) -> Receipt:
    """What was asked, the numbers and how many samples they are of, or why there are none, and how they came about."""
    asked = asdict(request)
    return {
        **asked,
        **asked["extractor"],
        "numbers": {name: asdict(number) for name, number in (numbers or {}).items()},
        "samples": dict(samples or {}),
        "refused": refused,
        **({} if origin is None else {"origin": origin}),
        "dtype": "float32",
        **record.circumstances(device),
        "made": record.now(),
    }
