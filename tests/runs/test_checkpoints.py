"""Checkpoints: what survives a crash, and what is refused."""

import io
from pathlib import Path

import pytest
import torch

from gan_cli.errors import CommandError, ConfigError, DamagedCheckpointError
from gan_cli.runs import checkpoints, read
from gan_cli.runs.folder import RunFolder
from tests.helpers.power_cut import Recorder, after_power_cuts


def state(step: int) -> dict:
    return {"step": step, "weights": torch.full((3,), float(step))}


def save(folder: Path, *steps: int, keep: int = 2) -> list[Path]:
    return [checkpoints.save(RunFolder(folder), state(step), keep) for step in steps]


def steps(folder: Path) -> list[int]:
    return [read.step_of(path) for path in read.checkpoints(folder)]


def test_a_checkpoint_and_its_digest_are_in_the_form_that_sha256sum_checks(tmp_path):
    (path,) = save(tmp_path, 10)
    assert path == tmp_path / "checkpoints" / "step-0000010.pt"
    digest, name = path.with_name("step-0000010.pt.sha256").read_text().split("  ")
    assert (len(digest), name) == (64, "step-0000010.pt\n")
    assert torch.equal(checkpoints.load(path)["weights"], torch.full((3,), 10.0))


@pytest.mark.parametrize("keep", [1, 2])
def test_the_newest_checkpoint_survives_a_power_cut_at_any_moment(keep, tmp_path, monkeypatch):
    run, disk = tmp_path / "run", tmp_path / "disk"
    run.mkdir()
    recorder = Recorder(run)
    with monkeypatch.context() as patched:
        recorder.start(patched)
        for step in (1, 2, 3, 4, 5):
            save(run, step, keep=keep)
            recorder.mark(str(step))
    assert steps(run) == [4, 5][-keep:]
    cuts = 0
    for number, (saved, left) in enumerate(after_power_cuts(recorder)):
        folder = disk / str(number)
        for path, content in left.items():
            place = folder / Path(path).relative_to(run)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        if saved is not None:
            _, found = checkpoints.newest(folder)
            assert found["step"] >= int(saved)
            assert torch.equal(found["weights"], state(found["step"])["weights"])
            cuts += 1
    assert cuts > 50


def test_a_power_cut_is_seen_to_lose_what_was_not_synced(tmp_path, monkeypatch):
    """So that the test above means something."""
    recorder = Recorder(tmp_path)
    with monkeypatch.context() as patched:
        recorder.start(patched)
        (tmp_path / "file").write_bytes(b"content")
    assert [disk for _, disk in after_power_cuts(recorder)] == [{}, {str(tmp_path / "file"): b""}, {}]


def test_a_damaged_checkpoint_of_a_later_step_costs_no_good_one(tmp_path):
    """As when a run goes on from the checkpoint before a damaged one."""
    *_, newest = save(tmp_path, 4, 8)
    newest.write_bytes(b"damaged")
    save(tmp_path, 5, 6, 7, keep=1)
    assert steps(tmp_path) == [7, 8]
    assert checkpoints.newest(tmp_path)[1]["step"] == 7
    save(tmp_path, 8, keep=1)
    assert steps(tmp_path) == [8]
    assert checkpoints.newest(tmp_path)[1]["step"] == 8


@pytest.mark.parametrize("where", [0, 100, -1])
def test_a_flipped_byte_is_found(where, tmp_path):
    (path,) = save(tmp_path, 1)
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedCheckpointError, match=r"step-0000001\.pt is damaged"):
        checkpoints.load(path)
    with pytest.raises(ConfigError, match=r"is damaged.*, and it is the only one: choose another name=…"):
        checkpoints.newest(tmp_path)


@pytest.mark.parametrize("syncs", [0, 1, 2])
def test_a_failed_save_leaves_the_old_checkpoints_and_no_litter(syncs, tmp_path, monkeypatch):
    save(tmp_path, 1, 2)
    before = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    left = iter(range(syncs))

    def full_disk(_):
        if next(left, None) is None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("gan_cli.files.os.fsync", full_disk)
    with pytest.raises(CommandError, match=r"step-0000003\.pt cannot be written \(No space left on device\): free"):
        save(tmp_path, 3)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == before
    assert checkpoints.newest(tmp_path)[1]["step"] == 2


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Planted:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    checkpoints.save(RunFolder(tmp_path), {"step": 1, "planted": Planted()}, keep=1)
    with pytest.raises(ConfigError, match="is not a checkpoint of tensors alone, so it was not loaded: remove it"):
        checkpoints.newest(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_checkpoints_says_so(tmp_path):
    with pytest.raises(ConfigError, match="has no checkpoint yet: wait for its first, or set every"):
        checkpoints.newest(tmp_path)
    save(tmp_path, 1)
    with pytest.raises(ConfigError, match="has no checkpoint of step 7, only of: 1"):
        checkpoints.newest(tmp_path, step=7)


def test_an_old_checkpoint_that_lost_its_digest_is_removed_all_the_same(tmp_path):
    old, _ = save(tmp_path, 1, 2)
    read.digest_path(old).unlink()
    save(tmp_path, 3)
    assert steps(tmp_path) == [2, 3]


@pytest.mark.parametrize(
    "content", [{"weights": torch.ones(1)}, ["step"], torch.ones(1)], ids=["no step", "list", "tensor"]
)
def test_a_whole_file_that_is_no_state_is_refused(content, tmp_path):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    RunFolder(tmp_path).write_checkpoint(1, buffer.getvalue(), keep=1)
    with pytest.raises(ConfigError, match=r"step-0000001\.pt"):
        checkpoints.newest(tmp_path)
