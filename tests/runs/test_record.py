"""What run.json says of the program and of failures."""

import subprocess

import pytest

import gan_cli
from gan_cli.errors import ConfigError, DivergedError, InterruptedRunError
from gan_cli.runs import record


def git(folder, *arguments):
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_is_that_of_the_programs_repository_and_marked_where_files_differ(tmp_path, monkeypatch):
    (tmp_path / "gan_cli").mkdir()
    file = tmp_path / "gan_cli" / "file.py"
    file.write_text("first")
    monkeypatch.setattr(gan_cli, "__path__", [str(tmp_path / "gan_cli")])
    assert record.git_commit() is None  # installed, not cloned
    git(tmp_path, "init", "-q")
    assert record.git_commit() is None  # nothing committed
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "tag", "-a", "v1", "-m", "tags do not stand for commits")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert record.git_commit() == commit
    file.write_text("changed")
    assert record.git_commit() == f"{commit}-dirty"


@pytest.mark.parametrize(
    ("error", "status", "code", "said"),
    [
        (KeyboardInterrupt(), "interrupted", 130, "KeyboardInterrupt"),
        (InterruptedRunError("stopped", 15), "interrupted", 143, "stopped"),
        (DivergedError("nan"), "diverged", 3, "nan"),
        (ConfigError("wrong"), "failed", 2, "wrong"),
        (ZeroDivisionError("by zero"), "failed", 1, "by zero"),
    ],
)
def test_each_failure_has_its_status_and_exit_code(error, status, code, said):
    assert record.of_failure(error) == {"status": status, "error": said, "exit_code": code}
