"""What torchrun, or another launcher with its environment variables, says of this process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gan_cli.config.schema import Config, kind_of
from gan_cli.errors import ConfigError

NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Launch:
    """One of several processes that train a run together."""

    rank: int
    size: int
    local_rank: int
    """Among those of this machine."""
    local_size: int
    attempt: int
    """How often the launcher has started them again."""
    hosts_store: bool
    """Whether what the processes tell one another lies in this one, and not in the launcher."""


def launch(environ: Mapping[str, str], config: Mapping[Any, Any] | None = None) -> Launch | None:
    """What the environment says; None for a process that is alone.

    Raises `ConfigError` where it is incomplete, and for several processes of a `config` that is no game's.
    """
    if not {"RANK", "WORLD_SIZE"} & environ.keys() or environ.get("WORLD_SIZE") == "1":
        return None
    if missing := [name for name in NEEDED if name not in environ]:
        there = next(name for name in NEEDED if name in environ)
        raise ConfigError(
            f"the environment has {there}={environ[there]} but no {', '.join(missing)}: start several processes of a"
            f" run with torchrun --nproc-per-node=N -m gan_cli …, or unset {there}"
        )
    if config is not None:
        _refuse_others(config)
    rank, size = (_number(environ, name, "0") for name in ("RANK", "WORLD_SIZE"))
    _number(environ, "MASTER_PORT", "0")
    if not rank < size:
        raise ConfigError(f"RANK={rank} must be below WORLD_SIZE={size}, the number of processes")
    return Launch(
        rank,
        size,
        local_rank=_number(environ, "LOCAL_RANK", str(rank)),
        local_size=_number(environ, "LOCAL_WORLD_SIZE", str(size)),
        attempt=_number(environ, "TORCHELASTIC_RESTART_COUNT", "0"),
        hosts_store=rank == 0 and environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True",
    )


def refuse_sweeps(environ: Mapping[str, str], words: Sequence[str]) -> None:
    """Raise `ConfigError` for several processes of a sweep."""
    if {"-m", "--multirun"} & set(words) and launch(environ) is not None:
        raise ConfigError("-m: several processes train one run: start a sweep without torchrun")


def _refuse_others(config: Mapping[Any, Any]) -> None:
    """Raise `ConfigError` for what one process trains."""
    what = "classifier" if kind_of(config) is not Config else "study" if config.get("study") else None
    if what is not None:
        raise ConfigError(f"{what}: several processes train one game: start this without torchrun")


def speaks(environ: Mapping[str, str]) -> bool:
    """Whether this process is the one of its machine that says what all of them would say."""
    return environ.get("LOCAL_RANK", "0") == "0"


def _number(environ: Mapping[str, str], name: str, default: str) -> int:
    text = environ.get(name, default)
    if not text.isdecimal():
        raise ConfigError(f"{name}={text} must be a whole number: start the processes with torchrun")
    return int(text)
