"""The text of `gan-train --help`. Hydra's own page takes more than a second, so slowly does it list groups."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

INTRODUCTION = """\
gan-train composes a run out of the groups below, trains it, and writes outputs/<name>/.
The same command continues a run that was stopped.

  gan-train                                            digits on a laptop CPU in minutes
  gan-train divergence=wgan_gp dataset=mnist           choose options of groups
  gan-train name=baseline train.steps=10000 seed=1     set values
  gan-train -m divergence=kl,js,wgan_gp seed=0,1,2     sweep: every combination
  gan-train experiment=ring                            a recipe
  gan-train --cfg job                                  show the composed config and stop
  gan-train --config-dir DIR                           find more options in a folder of yours
  gan-train --hydra-help                               Hydra's own flags, shell completion among them
"""


def page(configs: Path, overrides: Sequence[str]) -> str:
    """The introduction, every group with its options, and the config that the overrides compose."""
    groups = defaultdict(list)
    for path in sorted(configs.glob("*/**/*.yaml")):
        groups[path.parent.relative_to(configs).as_posix()].append(path.stem)
    options = "\n".join(f"{group}: {', '.join(names)}" for group, names in sorted(groups.items()))
    with initialize_config_dir(str(configs), version_base="1.3"):
        config = OmegaConf.to_yaml(compose("config", list(overrides)))
    return f"{INTRODUCTION}\n== Groups (group=option) ==\n\n{options}\n\n== Config (key.subkey=value) ==\n\n{config}"
