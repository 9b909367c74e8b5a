"""The device that a run computes on."""

import os
from dataclasses import dataclass
from typing import Literal

import torch

from gan_cli.errors import ConfigError

# What torch chose, for the runs of a sweep that follow one with another setting.
DEFAULT_THREADS = torch.get_num_threads()


@dataclass(frozen=True)
class Device:
    """What the `device` group chooses."""

    kind: Literal["auto", "cpu", "cuda"]
    threads: int | None
    deterministic: bool

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads={self.threads} must be at least 1")

    def activate(self) -> torch.device:
        """Set torch up for this process, and return the device."""
        available = torch.cuda.is_available()
        if self.kind == "cuda" and not available:
            raise ConfigError("device.kind=cuda, but torch finds no CUDA device: use device=cpu or device=auto")
        torch.set_num_threads(self.threads or DEFAULT_THREADS)
        if self.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(self.deterministic)
        return torch.device("cpu" if self.kind == "cpu" or not available else "cuda")
