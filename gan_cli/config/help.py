"""The text of `gan-train --help`. Hydra's own page takes more than a second, so slowly does it list groups."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gan_cli.config.schema import ClassifierConfig, Config, RunConfig
from gan_cli.config.schema import groups as schema_groups
from gan_cli.config.taken import ROOTS, kind_of_recipe, taken

OF_GAMES = """\
gan-train composes a run out of the groups below, trains it, and writes outputs/<name>/.
The same command continues a run that was stopped.

  gan-train                                            digits on a laptop CPU in minutes
  gan-train divergence=wgan_gp dataset=mnist           choose options of groups
  gan-train name=baseline train.steps=10000 seed=1     set values
  gan-train -m divergence=kl,js,wgan_gp seed=0,1,2     sweep: every combination
  gan-train experiment=ring                            a recipe
  gan-train --cfg job                                  show the composed config and stop
  gan-train --estimate                                 say how long the run will take here, and stop
  gan-train --schedules FILE.png                       draw the numbers that change over the run, and stop
  gan-train --config-dir DIR                           find more options in a folder of yours
  gan-train --hydra-help                               Hydra's own flags, shell completion among them
"""


OF_CLASSIFIERS = """\
gan-classify composes the training of a classifier out of the groups below, carries it out, and writes
outputs/classifiers/<name>/. The same command continues one that was stopped.

  gan-classify                                         digits on a laptop CPU in minutes
  gan-classify dataset=fashion_mnist augmentation=affine    choose options of groups
  gan-classify dataset=folder dataset.path=photos      one sub-folder a class
  gan-classify experiment=mnist_classifier             a recipe
  gan-classify --cfg job                               show the composed config and stop
  gan-classify --estimate                              say how long the run will take here, and stop
  gan-classify --schedules FILE.png                    draw the numbers that change over the run, and stop
  gan-classify --config-dir DIR                        find more options in a folder of yours
"""

INTRODUCTIONS = {Config: OF_GAMES, ClassifierConfig: OF_CLASSIFIERS}


def page(configs: Path, kind: type[RunConfig], overrides: Sequence[str]) -> str:
    """The introduction, every group of a kind of run with its options, and the config that the overrides compose."""
    groups = defaultdict(list)
    taken_groups = {*schema_groups(kind), "experiment", "schedule", *(["scale"] if kind is Config else [])}
    for path in sorted(configs.glob("*/**/*.yaml")):
        group = path.parent.relative_to(configs)
        is_of_others = group.name == "experiment" and kind_of_recipe(OmegaConf.load(path)) is not kind
        if group.parts[0] in taken_groups and not is_of_others:
            groups[group.as_posix()].append(path.stem)
    if "scale" in groups:
        groups["scale"].insert(0, "auto")  # which is in no file
    options = "\n".join(f"{group}: {', '.join(names)}" for group, names in sorted(groups.items()))
    config = composed(configs, kind, overrides)
    introduction = INTRODUCTIONS[kind]
    return f"{introduction}\n== Groups (group=option) ==\n\n{options}\n\n== Config (key.subkey=value) ==\n\n{config}"


def composed(configs: Path, kind: type[RunConfig], overrides: Sequence[str]) -> str:
    """The config that overrides compose, as yaml."""
    with initialize_config_dir(str(configs), version_base="1.3"):
        config = compose(ROOTS[kind], list(overrides))
    return OmegaConf.to_yaml(taken(config))
