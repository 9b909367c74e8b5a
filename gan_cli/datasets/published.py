"""Files of a published data set under a root: verified by digest, and fetched within a limit of silence."""

import http.client
import socket
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torchvision.datasets.utils import check_integrity

from gan_cli.datasets.idx import MIRROR_SECONDS
from gan_cli.errors import ConfigError

Digests = Mapping[str, str]
"""The MD5 of files by their paths below the root."""

FAILURES = (OSError, EOFError, RuntimeError, tarfile.TarError, zipfile.BadZipFile, http.client.HTTPException)
"""What torchvision raises where it cannot fetch or unpack."""


def missing(digests: Digests, root: Path, name: str) -> list[str]:
    """The files that are not there. Raises `ConfigError` for one that is there and is another."""
    lacking = []
    for file, md5 in digests.items():
        try:
            if not (root / file).exists():
                lacking.append(file)
            elif not check_integrity(root / file, md5):
                raise ConfigError(
                    f"{root / file} is not the file of {name} (its MD5 is not {md5}): delete or replace it, or choose"
                    " another dataset.root"
                )
        except OSError as error:
            raise ConfigError(f"{root / file} cannot be read ({error.strerror}): mend that, or delete it") from error
    return lacking


def unavailable(name: str, wanted: Digests, root: Path, error: Exception) -> ConfigError:
    """The error that says which files are to be put where."""
    files = " and ".join(f"{Path(file).name} (MD5 {md5})" for file, md5 in wanted.items())
    return ConfigError(
        f"{name} is not on this machine and could not be fetched ({reason(error)}): put {files} into"
        f" {(root / next(iter(wanted))).parent}, or choose data that need no network, such as dataset=mnist5k"
    )


def reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error or type(error).__name__).splitlines()[-1].rstrip(".")


@contextmanager
def no_long_silence() -> Iterator[None]:
    """torchvision waits for a server without end."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(MIRROR_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
