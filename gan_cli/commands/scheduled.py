"""`--schedules`: a picture of the numbers that change over a run, before it is trained."""

from pathlib import Path

from omegaconf import DictConfig

from gan_cli import files
from gan_cli.commands.out import writing
from gan_cli.commands.train import assembled
from gan_cli.errors import ConfigError
from gan_cli.runs.folder import RunFolder
from gan_cli.show import schedules


def draw(config: DictConfig, run: Path, out: Path) -> None:
    """Draw the numbers of the run of a config, whose folder would be `run`. Raises `ConfigError`."""
    if out.suffix != ".png":
        raise ConfigError(f"--schedules {out}: they are drawn as .png: name such a file")
    job = assembled(config, RunFolder(run))
    changing = job.changing()
    if not changing:
        raise ConfigError(f"--schedules {out}: no number of this run changes over it")
    with writing(out, "--schedules"):
        files.write_named(out, schedules.picture(changing, job.steps, job.images_per_step))
