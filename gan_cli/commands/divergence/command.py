"""The sub-commands of `gan-divergence`. torch is imported by those that compute, when they start."""

import math
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from pydoc import ErrorDuringImport, locate
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from gan_cli import files
from gan_cli.commands.divergence import formulas, listing
from gan_cli.commands.out import writing
from gan_cli.config import options
from gan_cli.errors import CommandError, ConfigError
from gan_cli.show.wording import measured

if TYPE_CHECKING:
    from torch import Tensor

    from gan_cli.datasets.base import Density
    from gan_cli.divergences.base import Divergence
    from gan_cli.exact.estimated import Estimated

Folders = Sequence[Path]

WITH_VALUES = "such as kl or alpha:alpha=2 (default: all)"


def add_arguments(parser: ArgumentParser) -> None:
    """A parser for each sub-command, which sets `run` to the function that does its work."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[Namespace], None], description: str) -> ArgumentParser:
        added: ArgumentParser = commands.add_parser(name, help=description, description=description)
        added.set_defaults(run=run)
        added.add_argument("--config-dir", type=Path, metavar="DIR", help="find more options in a folder of yours")
        return added

    shown = command("list", _list, "Show the formulas.")
    shown.add_argument("names", nargs="*", metavar="NAME", help="of a divergence (default: all)")
    shown.add_argument("--format", choices=["text", "markdown"], default="text", help="(default: text)")

    checking = command("check", _check, "Check the code against the mathematics; exit code 1 if anything is off.")
    checking.add_argument("names", nargs="*", metavar="NAME[:KEY=VALUE…]", help=WITH_VALUES)

    plotting = command("plot", _plot, "Draw the functions and losses.")
    plotting.add_argument("names", nargs="*", metavar="NAME[:KEY=VALUE…]", help=WITH_VALUES)
    plotting.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="the picture")

    exact = command("exact", _exact, "Compute divergences between two toy data sets whose densities are known.")
    for side, role in (("p", "the data"), ("q", "the model")):
        exact.add_argument(
            side, metavar=side.upper(), help=f"{role}: such as ring or gaussian:mean=[1.0]:deviation=2.0"
        )
    exact.add_argument(
        "--divergence",
        nargs="+",
        action="extend",
        dest="names",
        default=[],
        metavar="NAME[:KEY=VALUE…]",
        help="(default: all that have a closed form)",
    )


def _list(arguments: Namespace) -> None:
    folders = _folders(arguments)
    names = arguments.names or options.names("divergence", folders)
    with_formulas = [formulas.of(name, folders) for name in names]
    render = {"text": listing.as_text, "markdown": listing.as_markdown}[arguments.format]
    print(render(with_formulas))


def _check(arguments: Namespace) -> None:
    divergences = _divergences(arguments)
    from gan_cli.commands.divergence import check

    rows = [check.measure(name, divergence) for name, divergence in check.with_links(divergences).items()]
    print(check.as_text(rows), flush=True)
    check.raise_if_broken(rows)
    print("\nEvery law holds.")


def _plot(arguments: Namespace) -> None:
    out: Path = arguments.out
    if out.suffix != ".png":
        raise ConfigError(f"--out {out} must end in .png")
    divergences = _divergences(arguments)
    from gan_cli.commands.divergence import plot

    with _explaining("a formula"):
        picture = plot.draw(divergences)
    with writing(out):
        files.write_named(out, picture)


def _exact(arguments: Namespace) -> None:
    folders = _folders(arguments)
    nodes = [options.option("dataset", text, folders) for text in (arguments.p, arguments.q)]
    divergences = _divergences(arguments)
    p, q = (_density(text, node) for text, node in zip((arguments.p, arguments.q), nodes, strict=True))
    from gan_cli.exact import transport
    from gan_cli.exact.densities import Pair
    from gan_cli.exact.truth import either

    rows, reason = [], ""
    with _explaining(f"{arguments.p} and {arguments.q}"):
        pair = Pair(p, q)
    distance = cache(lambda: transport.between(p, q, *(_samples(of, seed) for seed, of in enumerate((p, q)))))
    for name, divergence in divergences.items():
        try:
            with _explaining(f"{name} of {arguments.p} and {arguments.q}"):
                found = either(divergence, distance, partial(pair.divergence, divergence))
        except NotImplementedError as error:
            reason = f"{name} of {arguments.p} and {arguments.q}: {error}"
            if arguments.names:
                raise ConfigError(reason) from error
            continue
        rows.append((name, _shown(found, divergence.unit)))
    if not rows:
        raise ConfigError(reason)
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"{name:{width}}  {shown}" for name, shown in rows))


def _samples(density: "Density", seed: int) -> "Tensor":
    """Samples for `transport.of_samples`: two sets of them."""
    import torch

    from gan_cli.exact.transport import TRANSPORTED

    return density.sample(2 * TRANSPORTED, torch.Generator().manual_seed(seed))


def _shown(found: "Estimated", unit: str) -> str:
    """The value, to six digits or with its error where that is seen in them."""
    if math.isinf(found.value):
        return "infinite"
    exact = found.half_width <= 1e-6 * abs(found.value)
    number = f"{found.value + 0.0:.6g}" if exact else measured(found.value, found.half_width)  # −0 becomes 0
    return f"{number} {unit}".rstrip()


@contextmanager
def _explaining(what: str) -> Iterator[None]:
    """Say in one line what densities refuse, or what somebody's own formula raises."""
    try:
        yield
    except (CommandError, NotImplementedError):
        raise
    except ValueError as error:
        raise ConfigError(f"{what}: {error}") from error
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{what} cannot be computed: {type(error).__name__}: {reason}") from error


def _folders(arguments: Namespace) -> Folders:
    """The folders that hold options. Raises `ConfigError` if the user's folder is none."""
    folder: Path | None = arguments.config_dir
    if folder is None:
        return (options.CONFIGS,)
    if not folder.is_dir():
        raise ConfigError(f"--config-dir {folder} is not a folder: name the one that holds divergence/")
    return (options.CONFIGS, folder)


def _divergences(arguments: Namespace) -> dict[str, "Divergence"]:
    folders = _folders(arguments)
    nodes = {
        name: options.option("divergence", name, folders)
        for name in arguments.names or options.names("divergence", folders)
    }
    from gan_cli.config.build import build
    from gan_cli.divergences.base import Divergence

    return {text: build(node, Divergence, text.split(":")[0]) for text, node in nodes.items()}


def _density(text: str, node: DictConfig) -> "Density":
    """The toy data that `text` names. Raises `ConfigError`."""
    from gan_cli.config.build import build
    from gan_cli.config.remedies import fitting
    from gan_cli.datasets.base import Dataset, Density

    if _is_a(node, Dataset) and not _is_a(node, Density):
        toys = fitting("dataset", lambda of: issubclass(of, Density))
        raise ConfigError(f"{text} has no density: choose a toy: {', '.join(toys)}")
    density: Density = build(node, Density, text.split(":")[0])
    return density


def _is_a(node: DictConfig, kind: type) -> bool:
    """Whether the node's class can be found and is of a kind."""
    try:
        found = locate(str(node.get("_target_")))
    except ErrorDuringImport:
        return False
    return isinstance(found, type) and issubclass(found, kind)
