"""The command line of `gan-cas`. Imports no torch."""

from argparse import ArgumentParser
from pathlib import Path


def add_to(parser: ArgumentParser) -> None:
    """The command line."""
    parser.add_argument(
        "source", type=Path, metavar="RUN", help="the folder of a conditional run, or of labelled synthetic images"
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="OVERRIDE",
        help="cas=quick|standard|full, cas.KEY=VALUE; dataset=… (the real images; default: the run's), test.data=…"
        " (default: their test split); name=…, outputs=…; all else is for every classifier, such as classifier=softmax",
    )
    parser.add_argument(
        "--config-dir", type=Path, metavar="FOLDER", help="of classifiers, optimizers and augmentations of your own"
    )
