"""Where the numbers and pictures of a run go besides its folder."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from gan_cli.errors import ConfigError


class Tracker(ABC):
    """An observer of a run."""

    @abstractmethod
    def open(self, folder: Path, step: int) -> None:
        """Begin to observe the run in `folder`, which starts or continues at `step`."""

    @abstractmethod
    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Record the numbers of one log interval."""

    @abstractmethod
    def close(self) -> None:
        """Stop observing: the run has ended, well or badly."""


class NoTracker(Tracker):
    """Observes nothing."""

    def open(self, folder: Path, step: int) -> None: ...

    def log(self, step: int, numbers: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class TensorBoard(Tracker):
    """Event files in `<run>/tensorboard`, for `tensorboard --logdir outputs`."""

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ConfigError(
                'tracker=tensorboard needs a package that is not installed: pip install "gan-cli[tensorboard]"'
            ) from error
        self._new_writer = SummaryWriter

    def open(self, folder: Path, step: int) -> None:
        self._writer = self._new_writer(str(folder / "tensorboard"), purge_step=step + 1)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()
