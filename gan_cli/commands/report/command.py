"""`gan-report`: from the folders of runs to one page, or one table."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gan_cli import files
from gan_cli.commands.out import refuse_own
from gan_cli.commands.report import text
from gan_cli.commands.report.report import make
from gan_cli.errors import ConfigError
from gan_cli.runs.find import is_run

TABLES = {"md": text.markdown, "csv": text.comma_separated, "json": text.as_json}


def add_arguments(parser: ArgumentParser) -> None:
    """The command line."""
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="RUN | SWEEP",
        help="the folder of a run, such as outputs/default, of a study, or of a sweep",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="(default: SWEEP/report.html for a single sweep, else report.html here; of tables the terminal)",
    )
    parser.add_argument(
        "--format", choices=["html", *TABLES], help="one page, or its table alone (default: as FILE ends, else html)"
    )


def report(folders: Sequence[Path], out: Path | None, format: str | None) -> None:
    """Write the report and print where it is, or print a table. Raises `ConfigError`, with nothing written."""
    if out is not None:
        _check_writable(out)
    format = format or _format_of(out)
    made = make(folders)
    if format != "html":
        content = TABLES[format](made)
        if out is None:
            sys.stdout.write(content)
            return
    else:
        from gan_cli.commands.report import page

        content = page.html(made)
        out = out or _default_place(folders)
        _check_writable(out)
    stream = _stream(out)
    _write(out, content, stream)
    if stream is None:
        print(out)


def write_page(folder: Path) -> Path:
    """Write the page of a sweep into its folder, and return where it is. Raises `ConfigError`."""
    from gan_cli.commands.report import page

    out = folder / "report.html"
    _check_writable(out)
    _write(out, page.html(make([folder])))
    return out


def _format_of(out: Path | None) -> str:
    """The format that the ending of the file names; html if there is none."""
    ending = out.suffix.lower().removeprefix(".") if out is not None else ""
    if ending in ("", "html", "htm"):
        return "html"
    if ending not in TABLES:
        raise ConfigError(f"--out {out} ends in none of html, {', '.join(TABLES)}: rename it, or give --format too")
    return ending


def _default_place(folders: Sequence[Path]) -> Path:
    is_sweep = len(folders) == 1 and not is_run(folders[0])
    return folders[0] / "report.html" if is_sweep else Path("report.html")


def _check_writable(out: Path) -> None:
    """Refuse, before the work, a file that cannot be written or is a run's own."""
    with _explaining(out):
        refuse_own(out)
        if out.is_dir():
            raise ConfigError(f"--out {out} is not a file: choose another place with --out")
        if not out.parent.is_dir():
            raise ConfigError(
                f"--out {out} cannot be written (there is no folder {out.parent}): make it, or choose another"
            )


def _stream(out: Path) -> int | None:
    """The descriptor of the stream of ours that this is another name of, such as /dev/stdout."""
    for descriptor in (1, 2):
        try:
            if os.path.samestat(out.stat(), os.fstat(descriptor)):
                return descriptor
        except OSError:  # there is no such file, or the stream is closed
            continue
    return None


def _write(out: Path, content: str, stream: int | None = None) -> None:
    """Replace the file, or leave the old one whole; a stream of ours goes on where it is."""
    encoded = content.encode("utf-8", errors="replace")
    with _explaining(out):
        if stream is None:
            files.write_named(out, encoded)
            return
        with os.fdopen(os.dup(stream), "wb") as file:
            file.write(encoded)


@contextmanager
def _explaining(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{out} cannot be written ({error.strerror or error}): free some space or permit it, or choose another"
            " place with --out"
        ) from error
