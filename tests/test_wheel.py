"""The wheel, installed: `gan-train` works in an empty folder without the checkout."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from the checkout; needs the package registry."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_every_module_and_config_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    kinds = {".py", ".html", ".css", ".js", ".safetensors"}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "gan_cli").rglob("*") if path.suffix in kinds}
    configs = {f"gan_cli/{path.relative_to(ROOT)}" for path in (ROOT / "configs").rglob("*.yaml")}
    assert names == modules | configs


def test_the_installed_command_trains_in_an_empty_folder(wheel, tmp_path, environment):
    home, empty = tmp_path / "venv", tmp_path / "empty"
    empty.mkdir()
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--no-deps", wheel], check=True, capture_output=True)
    # The packages that it depends on are borrowed: all of this environment's but the checkout itself.
    (borrowed,) = {path for path in sys.path if path.endswith("site-packages")}
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(f"{borrowed}\n")

    where = [python, "-c", "import gan_cli.cli; print(gan_cli.cli.CONFIGS)"]
    found = subprocess.run(where, cwd=empty, env=environment, check=True, capture_output=True, text=True)
    assert Path(found.stdout.strip()) == packages / "gan_cli" / "configs"

    command = [home / "bin" / "gan-train", "train.steps=5"]
    done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "outputs/default/samples.png\n"
    assert (empty / "outputs" / "default" / "samples.png").exists()
    assert [path.name for path in empty.iterdir()] == ["outputs"]
