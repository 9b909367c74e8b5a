"""What a composition computes: the name of a run, and choices that fit the data and the machine."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from gan_cli.config.schema import Config, member_name, run_name


def register() -> None:
    """Make the schema, `scale=auto` and the resolvers known to Hydra and OmegaConf."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    store.store(group="scale", name="auto", node={"defaults": [scale_here(sys.argv)]}, package="_global_")
    for resolver in (run_name, member_name, if_folder):
        OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)


def scale_here(words: Sequence[str], devices: Path = Path("/dev")) -> str:
    """The scale that suits this machine: `base` where there is an NVIDIA device, else `cpu`.

    It is `cpu` too if the words of the command ask for the CPU, or the environment hides the device. It is found
    without torch, which takes seconds to import.
    """
    has_device = any((devices / name).exists() for name in ("nvidiactl", "dxg"))
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") or {"device=cpu", "device.kind=cpu"} & set(words)
    return "base" if has_device and not hidden else "cpu"


def if_folder(dataset: str, option: str, otherwise: str) -> str:
    """The first option for a folder of pictures, the second for other data."""
    return option if dataset == "folder" else otherwise
