"""The command line of `gan-attack`. Imports no torch."""

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

from gan_cli.config import options

ATTACKS = [name for name in options.names("attack") if name != "none"]


@dataclass(frozen=True)
class Question:
    """What the command line asks."""

    runs: list[Path]
    attacks: list[str]
    """Each as the name of an option with values of its keys, `fgsm:epsilon=[0,0.1]`."""
    limit: int | None
    seed: int
    as_bytes: bool
    out: Path | None
    device: str
    allow: list[str]
    config_dir: Path | None

    @property
    def in_bytes(self) -> bool:
        """Whether changed images are judged as files hold them, which those that are written are."""
        return self.as_bytes or self.out is not None


def add_to(parser: ArgumentParser) -> None:
    """The command line."""
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="the folder of a run, or several to be compared: of classifiers, or of games of images",
    )
    parser.add_argument(
        "--attack",
        action="append",
        default=[],
        dest="attacks",
        metavar="NAME[:KEY=VALUE…]",
        help=f"{', '.join(ATTACKS)}; repeat for several; as fgsm:epsilon=[0,0.1,0.25], pgd:epsilon=0.3:restarts=10 or"
        " transfer:run=RUN (default: fgsm)",
    )
    parser.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help="the first N test images (default: all); of a game N real and N generated ones (default: 1,000)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of random starts and noise, and of the samples of a game (default: 0)"
    )
    parser.add_argument(
        "--8-bit", action="store_true", dest="as_bytes", help="judge images of 8 bits a pixel, as files hold them"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="write the changed images of one run under one attack, a sub-folder a class, or real/ and generated/",
    )
    parser.add_argument("--device", choices=options.names("device"), default="auto", help="(default: auto)")
    parser.add_argument("--config-dir", type=Path, metavar="FOLDER", help="of attacks of your own")
