"""The scripts by which a relay in an ordinary container ends with the training beside it, run for real."""

import os
import shutil
import signal
import subprocess

import pytest
from conftest import BUILD, ROOT, Musterd, wait_for

FOLDER = ROOT / "deploy" / "kubernetes" / "components" / "sidecar-plain"
# Says that it runs, and with which arguments; goes on until it is told to end, and says that it was.
MUSTERD = """#!/bin/sh
echo "start $*" >> "$LOG"
trap 'echo end >> "$LOG"; exit 0' TERM
echo $$ > "$LOG.pid"
while :; do sleep 0.05; done
"""


class Pod:
    def __init__(self, folder):
        program = folder / "musterd"
        program.write_text(MUSTERD)
        program.chmod(0o755)
        self.folder, self.log, self.alive = folder, folder / "log", folder / "alive"
        self.environment = {
            "PATH": f"{folder}:{os.environ['PATH']}", "LOG": str(self.log), "MUSTER_ALIVE": str(self.alive)
        }
        self.processes = []

    def start(self, script, *arguments):
        process = subprocess.Popen(
            ["sh", FOLDER / script, *arguments], env=self.environment, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def said(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def stop(self):
        for process in self.processes:
            # Its group: what it has started too.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
            process.stderr.close()


@pytest.fixture
def pod(tmp_path):
    pod = Pod(tmp_path)
    yield pod
    pod.stop()


@pytest.mark.parametrize("how, status", [("itself", 3), ("killed", -signal.SIGKILL)])
def test_the_relay_ends_with_the_training_however_that_ends(pod, how, status):
    relay = pod.start("relay.sh", "--upstream=central:7600")
    wait_for(lambda: pod.said() == ["start --upstream=central:7600"], "the relay")
    training = pod.start("beside.sh", "sh", "-c", "until [ -e $LOG.go ]; do sleep 0.05; done; exit 3")
    wait_for(pod.alive.exists, "the training")
    assert relay.poll() is None
    if how == "killed":
        os.kill(training.pid, signal.SIGKILL)
    else:
        (pod.folder / "log.go").touch()
    assert training.wait(timeout=20) == status
    assert relay.wait(timeout=20) == 0
    assert pod.said()[-1] == "end"


def test_a_training_that_was_over_before_the_relay_began_ends_it(pod):
    assert pod.start("beside.sh", "true").wait(timeout=20) == 0
    assert pod.start("relay.sh").wait(timeout=20) == 0


def test_a_process_that_the_training_leaves_keeps_the_relay(pod):
    relay = pod.start("relay.sh")
    training = pod.start("beside.sh", "sh", "-c", "sleep 60 & echo $! > $LOG.child")
    assert training.wait(timeout=20) == 0
    wait_for(lambda: pod.said() == ["start "], "the relay")
    with pytest.raises(subprocess.TimeoutExpired):
        relay.wait(timeout=2)
    os.kill(int((pod.folder / "log.child").read_text()), signal.SIGKILL)
    assert relay.wait(timeout=20) == 0


def test_a_relay_that_dies_is_started_again_and_the_pod_does_not_fail(pod):
    relay = pod.start("relay.sh")
    wait_for(lambda: (pod.folder / "log.pid").exists(), "the relay")
    os.kill(int((pod.folder / "log.pid").read_text()), signal.SIGKILL)
    wait_for(lambda: pod.said() == ["start ", "start "], "another start")
    relay.send_signal(signal.SIGTERM)
    assert relay.wait(timeout=20) == 0
    assert "musterd ended with 137" in relay.stderr.read()
    assert pod.said()[-1] == "end"


def test_training_goes_on_where_the_pipe_cannot_be_made(pod, tmp_path):
    pod.environment["MUSTER_ALIVE"] = str(tmp_path / "nowhere" / "alive")
    assert pod.start("beside.sh", "sh", "-c", "exit 5").wait(timeout=20) == 5


@pytest.mark.skipif(not (ROOT / "daemon" / "relay").exists(), reason="musterd cannot be a relay yet")
def test_a_real_relay_sends_all_before_it_ends(pod, tmp_path):
    (tmp_path / "central").mkdir()
    central = Musterd(tmp_path / "central")
    try:
        (tmp_path / "musterd").unlink()
        (tmp_path / "musterd").symlink_to(BUILD / "daemon" / "musterd")
        socket = f"unix:{tmp_path}/muster.sock"
        relay = pod.start("relay.sh", f"--grpc-address={socket}", "--http-address=127.0.0.1:0", f"--upstream={central.grpc}")
        wait_for((tmp_path / "muster.sock").exists, "the relay")
        simulate = [BUILD / "cli" / "muster", "--address", socket, "simulate", "pod", "--ranks=2", "--steps=50"]
        assert pod.start("beside.sh", *simulate).wait(timeout=60) == 0
        assert relay.wait(timeout=60) == 0
        [run] = [run for run in central.get("/api/v1/runs")["runs"] if run["run"] == "pod"]
        assert int(run["framesComplete"]) == 50, run
    finally:
        central.stop()


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing():
    done = subprocess.run(["shellcheck", *FOLDER.glob("*.sh")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
