"""What a command is to a terminal: errors in one line with their exit code, and a log above the progress bar."""

import argparse
import io
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from gan_cli.config.compose import COMPOSITION_ERRORS, composition_error
from gan_cli.errors import CommandError

TO_SPEAK = 5.0
"""Seconds that another process has for a line, before a launcher that sees this one end stops that one."""

SHOW_TRACEBACKS = os.environ.get("HYDRA_FULL_ERROR") == "1"


@contextmanager
def printing() -> Iterator[None]:
    """Print safely: unencodable characters are replaced; an unwritable stdout ends the command in one line."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else the interpreter tries again at its end
        raise CommandError(f"the output cannot be written ({error.strerror or error})") from error


@contextmanager
def exit_codes(command: str, *, silent: bool = False) -> Iterator[None]:
    """End the process as README's table of exit codes says, with one line on stderr for a `CommandError`.

    A `silent` one, where another process says the line, has the code alone, as an error without words has.
    """
    try:
        yield
    except (CommandError, *COMPOSITION_ERRORS) as error:
        if SHOW_TRACEBACKS:
            traceback.print_exc()
        reported = error if isinstance(error, CommandError) else composition_error(error)
        if not silent and str(reported):
            print(f"{command}: {reported}", file=sys.stderr)
        else:
            time.sleep(TO_SPEAK)
        sys.exit(reported.exit_code)
    except BrokenPipeError:  # such as by `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        print(f"{command}: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception:
        traceback.print_exc()
        sys.exit(1)


class Parser(argparse.ArgumentParser):
    """Complains in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help lists the options\n")


class _TerminalHandler(logging.Handler):
    """Writes above the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        prefix = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        tqdm.write(prefix + self.format(record), file=sys.stderr)


def log_to_terminal() -> None:
    """Show the program's log on stderr; the line of each interval only if no progress bar shows the same."""
    package = logging.getLogger("gan_cli")
    package.setLevel(logging.DEBUG)
    package.propagate = False
    logging.raiseExceptions = False  # a full disk is reported once, by what could not be written, not by every log line
    if not any(isinstance(handler, _TerminalHandler) for handler in package.handlers):
        handler = _TerminalHandler(logging.INFO if sys.stderr.isatty() else logging.DEBUG)
        package.addHandler(handler)


def add_allow(parser: argparse.ArgumentParser) -> None:
    """`--allow MODULE`, for commands that build what the config of a run names."""
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="MODULE",
        help="import a module that a config names and that is not gan-cli's; repeat for several",
    )
