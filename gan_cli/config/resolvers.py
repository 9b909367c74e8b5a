"""What a composition computes: the name of a run, and choices that fit the data and the machine."""

import os
from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from gan_cli.config.schema import Config, member_name, run_name


def register() -> None:
    """Make the schema, `scale=auto` and the resolvers known to Hydra and OmegaConf."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    store.store(group="scale", name="auto", node={"defaults": [scale_here()]}, package="_global_")
    for resolver in (run_name, member_name, if_folder):
        OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)


def scale_here(devices: Path = Path("/dev")) -> str:
    """The scale that suits this machine: `base` beside an NVIDIA device that may be used, else `cpu`.

    It is found without torch, which takes seconds to import.
    """
    has_device = any((devices / name).exists() for name in ("nvidiactl", "dxg"))
    return "base" if has_device and os.environ.get("CUDA_VISIBLE_DEVICES") not in ("", "-1") else "cpu"


def if_folder(dataset: str, option: str, otherwise: str) -> str:
    """The first option for a folder of pictures, the second for other data."""
    return option if dataset == "folder" else otherwise
