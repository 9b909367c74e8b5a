"""Data that a command line names: a path, or an option of the group."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from gan_cli.config import options
from gan_cli.config.paths import absolute
from gan_cli.datasets import arrays, table
from gan_cli.errors import ConfigError


def data_node(text: str, key: str) -> DictConfig:
    """The node of the data at a path, as they are, or of an option such as `mnist:split=test`.

    Raises `ConfigError`, which begins with `key`.
    """
    if not text or "${" in text:
        raise ConfigError(f"{key} '{text}' is no name of data: name a path without ${{, or an option such as mnist5k")
    try:
        path = Path(text).expanduser()
        exists = path.exists()
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{key} {text} cannot be read ({error}): name another path") from error
    if exists:
        node = _of_path(path, key)
    elif "/" in text.partition(":")[0] or "." in text.partition(":")[0]:
        raise ConfigError(f"{key} {text} does not exist: name a folder, an archive, an .npy, .npz or .csv file")
    else:
        try:
            node = options.option("dataset", text)
        except ConfigError as error:
            raise ConfigError(f"{key} {error}, or name a path that exists") from error
    OmegaConf.resolve(node)
    return node


def _of_path(path: Path, key: str) -> DictConfig:
    suffix = path.suffix.lower()
    name, given = "folder", {"resolution": None, "channels": None}
    if path.is_file() and suffix in table.TABLES:
        name, given = "points", {}
    elif path.is_file() and suffix in arrays.ARRAYS:
        try:
            name, given = ("points" if arrays.read(path, None, None)[0].ndim == 2 else "array"), {}
        except ValueError as error:
            remedy = f"; write {key} array:path=FILE:array=NAME" if "dataset.array" in str(error) else ""
            raise ConfigError(f"{key} {str(error).removeprefix('path=')}{remedy}") from error
    node = options.option("dataset", name)
    node.update(path=absolute(str(path)), **given)
    return node
