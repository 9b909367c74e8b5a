"""What run.json says about a run: how it stands, and the circumstances of its numbers."""

import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gan_cli
from gan_cli.errors import CommandError, DivergedError, InterruptedRunError, OverfittedError

if TYPE_CHECKING:  # commands that only read a run answer before torch would be imported
    import torch


def circumstances(device: "torch.device") -> dict[str, Any]:
    """The software and hardware of this process."""
    import torch

    return {
        "versions": {
            "gan-cli": version("gan-cli"),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": version("torchvision"),
            "numpy": version("numpy"),
        },
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "git_commit": git_commit(),
    }


def device_name(device: "torch.device") -> str:
    """What the device calls itself."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({platform.machine()})"


def processor() -> str:
    """What the processor calls itself."""
    about = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", about.read_text()) if about.exists() else None
    return model[1] if model else platform.processor() or platform.machine()


def git_commit() -> str | None:
    """The commit that this program runs from, "-dirty" where files differ from it; None when it was installed."""
    root = Path(gan_cli.__path__[0]).parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def of_failure(error: BaseException) -> dict[str, Any]:
    """How run.json reports a run that an error ended."""
    match error:
        case KeyboardInterrupt():
            status, code = "interrupted", 130
        case InterruptedRunError():
            status, code = "interrupted", error.exit_code
        case DivergedError():
            status, code = "diverged", error.exit_code
        case OverfittedError():
            status, code = "overfitted", error.exit_code
        case CommandError():
            status, code = "failed", error.exit_code
        case _:
            status, code = "failed", 1
    report = {"status": status, "error": str(error) or type(error).__name__, "exit_code": code}
    # The loop looks at the numbers of several steps at once, so it may have gone on for some.
    return report | {"step": error.step} if isinstance(error, DivergedError) and error.step is not None else report
