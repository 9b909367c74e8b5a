"""The commands. torch is imported only once a config is known to compose, so that help and mistakes answer at once."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gan_cli.commands.launched import Launch, launch, refuse_sweeps, speaks
from gan_cli.commands.preview import Preview, asked_of
from gan_cli.config import options, resolvers
from gan_cli.config.compose import classifier as compose_classifier
from gan_cli.config.compose import composition_error, members, resolve, sweeps_unseen
from gan_cli.config.help import composed as composed_page
from gan_cli.config.help import page as help_page
from gan_cli.config.options import CONFIGS
from gan_cli.config.schema import ClassifierConfig, Config, RunConfig, kind_of
from gan_cli.config.taken import COMMANDS, ROOTS, config_folders, refuse_of_games, refuse_recipes_of_others, taken
from gan_cli.errors import CommandError, InterruptedRunError
from gan_cli.terminal import Parser, add_allow, exit_codes, log_to_terminal, printing

logger = logging.getLogger(__name__)


def train() -> None:
    """`gan-train`: compose and train one game, or with -m a sweep."""
    _compose_and_run(Config)


def classify() -> None:
    """`gan-classify`: compose and train one classifier, or with -m a sweep."""
    _compose_and_run(ClassifierConfig)


def _compose_and_run(kind: type[RunConfig]) -> None:
    with exit_codes(COMMANDS[kind], silent=not speaks(os.environ)), _no_sweep_without_runs():
        preview = asked_of(Parser(prog=COMMANDS[kind], add_help=False, allow_abbrev=False))
        refuse_sweeps(os.environ, sys.argv)
        # On any error Hydra exits with code 1; asked for the full error, it raises the exception instead.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        resolvers.register()
        # Hydra reads overrides on one side of -m only.
        sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
        overrides = [word for word in sys.argv[1:] if not word.startswith("-")]
        refuse_recipes_of_others(kind, overrides, [CONFIGS, *config_folders(sys.argv[1:])])
        if kind is ClassifierConfig:
            refuse_of_games([word for word in overrides if "=" in word or word.startswith("~")])
        try:
            if set(sys.argv[1:]) - set(overrides) in ({"--help"}, {"-h"}):
                print(help_page(CONFIGS, kind, overrides))
                return
            if sys.argv[1:] and set(sys.argv[1:]) - set(overrides) <= {"--cfg", "-c"} and "job" in overrides:
                print(composed_page(CONFIGS, kind, [word for word in overrides if word != "job"]))
                return
            main = hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=ROOTS[kind])
            if preview is None:
                main(_job)()
                return
            with sweeps_unseen():
                main(partial(_look, preview))()
        except (TypeError, ValueError) as error:
            # A job handles its own errors, so this one comes from a config that does not compose.
            raise composition_error(error) from error
        if preview.estimate:
            with printing():
                print(preview.as_text())


def sample() -> None:
    """`gan-sample`: pictures from the generator of a run."""
    parser = Parser(prog="gan-sample", description="Draw samples from the generator of a run.")
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a run, such as outputs/default")
    parser.add_argument("-n", "--n", type=int, help="how many images, points or frames (default: 64, 2,500 and 96)")
    parser.add_argument("--class", dest="classes", metavar="NAME[,NAME]", help="draw these classes (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the latents (default: 0)")
    parser.add_argument("--step", type=int, help="of the checkpoint (default: the newest)")
    parser.add_argument("--weights", choices=["average", "raw"], default="average", help="(default: average)")
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="samples that are made at a time (default: the config's)"
    )
    parser.add_argument(
        "--film",
        action="store_true",
        dest="of_training",
        help="a film of the pictures that training kept, to --out film.gif; of toy data the only film there is",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="grid.png: a grid; walk.gif: a walk through the latents, from class to class of several; a folder: one PNG"
        " a sample, one sub-folder a class; of toy data points.png, points.npy or film.gif; missing folders are made",
    )
    add_allow(parser)
    arguments = parser.parse_args()
    with exit_codes("gan-sample"):
        resolvers.register()
        log_to_terminal()
        from gan_cli.commands.sample import write_samples

        write_samples(**vars(arguments))


def evaluate() -> None:
    """`gan-eval`: numbers about a run, each with its receipt."""
    from gan_cli.commands import question

    parser = Parser(
        prog="gan-eval",
        description="Measure a run, finished or running, or any two sets of samples. Every number leaves its receipt in"
        " evaluation.json or in the file that is named, from which the same question is answered the next time.",
    )
    question.add_to(parser)
    add_allow(parser)
    arguments = parser.parse_args()
    with exit_codes("gan-eval"):
        log_to_terminal()
        from gan_cli.commands import evaluate as answering
        from gan_cli.commands.answer import as_text

        answer = answering.answer(question.asked(vars(arguments)))
        if answer.receipts or answer.words:
            with printing():
                print(as_text(answer))
        failures = {str(error): error.exit_code for error in answer.failures.values()}
        for message in failures:
            print(f"gan-eval: {message}", file=sys.stderr)
        if failures:
            sys.exit(max(failures.values()))


def cas() -> None:
    """`gan-cas`: classifiers trained on a run's images, on real ones, and on both."""
    from gan_cli.commands.cas import arguments

    parser = Parser(
        prog="gan-cas",
        description="Train the same classifier on real images, on a run's images and on both, and say which is better.",
    )
    arguments.add_to(parser)
    with exit_codes("gan-cas"):
        resolvers.register()
        # An option may stand between the overrides.
        asked = parser.parse_intermixed_args()
        options.check_folder(asked.config_dir)
        log_to_terminal()
        from gan_cli.commands.cas.command import compare
        from gan_cli.commands.cas.training import TRAINER

        told = compare(asked.source, asked.words, partial(compose_classifier, config_folder=asked.config_dir), TRAINER)
        with printing():
            print(told)


def attack() -> None:
    """`gan-attack`: adversarial examples for classifiers, and for the critics of games."""
    from gan_cli.commands.attack import arguments

    parser = Parser(
        prog="gan-attack",
        description="Attack classifiers with changed test images, and measure how often they are fooled; or the critics"
        " of games with changed real and generated images, and measure how far their scores move. Every number leaves"
        " its receipt in evaluation.json.",
    )
    arguments.add_to(parser)
    add_allow(parser)
    with exit_codes("gan-attack"):
        question = arguments.Question(**vars(parser.parse_args()))
        log_to_terminal()
        from gan_cli.commands.attack import command

        told = command.attack(question)
        with printing():
            print(told)


def divergence() -> None:
    """`gan-divergence`: list, check and draw the divergences, or compute them between known densities."""
    from gan_cli.commands.divergence import command

    parser = Parser(prog="gan-divergence", description="List, check, draw and compute the divergences.")
    command.add_arguments(parser)
    with exit_codes("gan-divergence"), printing():
        arguments = parser.parse_args()
        arguments.run(arguments)


def report() -> None:
    """`gan-report`: one page that compares runs."""
    from gan_cli.commands.report import command

    parser = Parser(prog="gan-report", description="Compare runs: their configs, numbers, curves and samples.")
    command.add_arguments(parser)
    with exit_codes("gan-report"), printing():
        command.report(**vars(parser.parse_args()))


class SweepSummary(Callback):
    """Ends a sweep with a table of its runs and a page that compares them."""

    made: ClassVar[list[Path]] = []
    """What Hydra makes for a sweep: its record of the overrides, the sweep's folder, and the folders above it."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        SweepSummary.made = [path for path in (folder / "multirun.yaml", folder, *folder.parents) if not path.exists()]

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        from gan_cli.commands import sweep

        if code := sweep.conclude(Path(config.hydra.sweep.dir), COMMANDS[kind_of(config)]):
            raise SystemExit(code)


@contextmanager
def _no_sweep_without_runs() -> Iterator[None]:
    """Remove what Hydra made for a sweep that has no runs."""
    try:
        yield
    finally:
        from gan_cli.commands import sweep

        for path in SweepSummary.made:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
            elif path.is_file() and not sweep.runs(path.parent):
                path.unlink()


def _job(config: DictConfig) -> None:
    """Carry out one run in the folder that its name or the sweep gives it; no error but a stop reaches Hydra."""
    log_to_terminal()
    command = COMMANDS[kind_of(config)]
    hydra_config = HydraConfig.get()
    if hydra_config.mode is RunMode.RUN:
        with exit_codes(command, silent=not speaks(os.environ)):
            resolve(config)
            started = launch(os.environ, config)
        with exit_codes(command):
            _run(config, Path(config.outputs, config.name), started)
        return

    folder = Path(hydra_config.runtime.output_dir)
    try:
        resolve(config)
        _run(config, folder)
    except InterruptedRunError as error:
        print(f"{command}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:  # one bad run does not end a sweep: its run.json and the table report it
        from gan_cli.commands.sweep import record_failure

        record_failure(folder, error)
        logger.error("%s: %s", folder.name, error, exc_info=not isinstance(error, CommandError))


def _run(config: DictConfig, folder: Path, started: Launch | None = None) -> None:
    hydra_config = HydraConfig.get()
    overrides = list(hydra_config.overrides.task)
    config = taken(config)
    files = {
        "config.yaml": OmegaConf.to_yaml(config),
        "overrides.yaml": OmegaConf.to_yaml(hydra_config.overrides.task),
        "hydra.yaml": OmegaConf.to_yaml(OmegaConf.create({"hydra": hydra_config})),
    }
    if config.get("study"):
        from gan_cli.commands.study import run_study

        run_study(config, folder, files, partial(members, overrides))
        return
    from gan_cli.commands.together import joined
    from gan_cli.commands.train import run

    with joined(started):
        newest = run(config, folder, files)
    if hydra_config.mode is RunMode.RUN and (started is None or started.rank == 0):
        print(newest)


def _look(preview: Preview, config: DictConfig) -> None:
    """Answer what is asked of one run; a mistake ends the command."""
    log_to_terminal()
    hydra_config = HydraConfig.get()
    with exit_codes(COMMANDS[kind_of(config)]):
        resolve(config)
        is_alone = hydra_config.mode is RunMode.RUN
        path = Path(config.outputs, config.name) if is_alone else Path(hydra_config.runtime.output_dir)
        compose = partial(members, list(hydra_config.overrides.task))
        preview.look_at(taken(config), path, compose, is_one_of_several=not is_alone)
