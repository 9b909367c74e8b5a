"""Two hosts train one run: network namespaces with a cable between them, where the system lets one make them."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from gan_cli.commands.together import interface_to
from tests.helpers.configs import TINY
from tests.helpers.runs import record

ADDRESSES = ("10.213.7.1", "10.213.7.2")
RUN = (*TINY, "train.steps=20", "every.log=10", "device.threads=1", "outputs=outputs")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """The names of two namespaces, in which nothing but the other one and itself is reached."""
    names = [f"gan-{os.getpid()}-{number}" for number in range(2)]
    cables = [f"gan{os.getpid()}{end}" for end in "ab"]
    try:
        try:
            for name in names:
                ip("netns", "add", name)
            ip("link", "add", cables[0], "type", "veth", "peer", "name", cables[1])
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network namespaces here: {error}")
        for name, cable, address in zip(names, cables, ADDRESSES, strict=True):
            ip("link", "set", cable, "netns", name)
            ip("-n", name, "address", "add", f"{address}/24", "dev", cable)
            ip("-n", name, "link", "set", cable, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


@pytest.mark.thorough
def test_two_hosts_train_a_run_over_the_network(hosts, environment, gan_train, tmp_path):
    meeting = ("--nnodes=2", "--nproc-per-node=1", f"--master-addr={ADDRESSES[0]}", "--master-port=29500")
    program = [sys.executable, "-m", "torch.distributed.run", *meeting]
    command = ["-m", "gan_cli", *RUN, "name=two"]
    here = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
    both = [
        subprocess.Popen(
            ["ip", "netns", "exec", host, *program, f"--node-rank={number}", *command], env=environment, **here
        )
        for number, host in enumerate(hosts)
    ]
    complaints = [process.communicate(timeout=200)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], complaints
    assert gan_train(*RUN, "name=one").code == 0
    one, two = (record(tmp_path / "outputs" / name)["final"] for name in ("one", "two"))
    assert two["critic_loss"] == pytest.approx(one["critic_loss"], rel=1e-4)


@pytest.mark.skipif(sys.platform != "linux", reason="by Linux's own call")
def test_the_interface_to_a_host():
    assert interface_to("127.0.0.1") == "lo"
    assert interface_to("no.such.host.invalid") is None
