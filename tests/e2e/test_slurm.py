"""The batch script for Slurm, run for real between stand-ins for Slurm's own programs."""

import os
import pathlib
import shutil
import signal
import subprocess

import pytest
from conftest import BUILD, ROOT, Musterd, wait_for

SCRIPT = ROOT / "deploy" / "slurm" / "train.sbatch"
# Starts its command once for each node, passes TERM on, and ends with the worst status.
SRUN = """#!/bin/bash
echo "srun $*" >> "$LOG"
while [[ $1 == --* ]]; do shift; done
pids=()
for ((node = 0; node < SLURM_JOB_NUM_NODES; ++node)); do SLURM_NODEID=$node "$@" & pids+=($!); done
trap 'kill -TERM "${pids[@]}" 2>/dev/null' TERM
worst=0
for pid in "${pids[@]}"; do
  while :; do
    wait "$pid"; status=$?
    kill -0 "$pid" 2>/dev/null || break
  done
  ((status > worst)) && worst=$status
done
exit $worst
"""
SCONTROL = """#!/bin/bash
[[ "$*" == "show hostnames node[7-8]" ]] && printf 'node7\\nnode8\\n'
"""
MUSTERD = """#!/bin/bash
echo "musterd $SLURM_NODEID $*" >> "$LOG"
trap 'echo "end of relay $SLURM_NODEID" >> "$LOG"; exit 0' TERM
while :; do sleep 0.05; done
"""
# Trains until the file named by UNTIL is there, or it is told to end.
TORCHRUN = """#!/bin/bash
echo "torchrun $SLURM_NODEID $* to ${MUSTER_ADDRESS:-nobody}" >> "$LOG"
trap 'echo "end of training $SLURM_NODEID" >> "$LOG"; exit 143' TERM
until [ -e "$UNTIL" ]; do sleep 0.05; done
echo "end of training $SLURM_NODEID" >> "$LOG"
exit "$STATUS"
"""


class Job:
    def __init__(self, folder, **more):
        for name, text in (("srun", SRUN), ("scontrol", SCONTROL), ("musterd", MUSTERD), ("torchrun", TORCHRUN)):
            program = folder / name
            if name not in more.get("without", ()):
                program.write_text(text)
                program.chmod(0o755)
        self.log, self.until = folder / "log", folder / "until"
        self.spool = folder / "relay"
        environment = {
            "PATH": f"{folder}:/usr/bin:/bin", "LOG": str(self.log), "UNTIL": str(self.until), "STATUS": "0",
            "SLURM_JOB_ID": f"muster-test-{os.getpid()}", "SLURM_JOB_NUM_NODES": "2",
            "SLURM_JOB_NODELIST": "node[7-8]", "MUSTER_UPSTREAM": "central:7600", "MUSTER_FOLDER": str(self.spool),
        }
        environment |= more.get("environment", {})
        self.environment = {name: value for name, value in environment.items() if value is not None}
        self.process = subprocess.Popen(
            ["bash", SCRIPT, "train.py", "--epochs=2"], env=self.environment, cwd=folder,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )

    def said(self, word):
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if line.startswith(word)]

    def runs(self, relays=2):
        wait_for(lambda: len(self.said("torchrun")) == 2 and len(self.said("musterd")) == relays, "all to start")

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stderr.close()


@pytest.fixture
def start(tmp_path):
    jobs = []

    def begin(**more):
        jobs.append(Job(tmp_path, **more))
        return jobs[-1]

    yield begin
    for job in jobs:
        job.end()


def order(job):
    return [line.rsplit(" ", 1)[0] for line in job.said("end of")]


@pytest.mark.parametrize("status", [0, 7])
def test_a_relay_on_each_node_from_before_the_training_to_after_it(start, status):
    job = start(environment={"STATUS": str(status)})
    job.runs()
    socket = f"unix:{job.spool}/muster.sock"
    flags = f"--grpc-address={socket} --http-address=127.0.0.1:0 --spool-dir={job.spool}/spool --upstream=central:7600"
    assert sorted(job.said("musterd")) == [f"musterd {node} {flags}" for node in range(2)]
    assert job.spool.stat().st_mode & 0o777 == 0o700
    wanted = "--nnodes=2 --nproc-per-node=8 --rdzv-backend=c10d --rdzv-endpoint=node7:29500 " \
        f"--rdzv-id={job.environment['SLURM_JOB_ID']} train.py --epochs=2"
    assert sorted(job.said("torchrun")) == [f"torchrun {node} {wanted} to {socket}" for node in range(2)]
    [relays] = [line for line in job.said("srun") if "muster-relay" in line]
    for option in ("--overlap", "--nodes=2", "--ntasks-per-node=1", "--gres=none"):
        assert option in relays
    assert job.said("end of") == []
    job.until.touch()
    assert job.process.wait(timeout=30) == status
    assert order(job) == ["end of training"] * 2 + ["end of relay"] * 2


def test_the_relays_outlive_a_training_that_is_told_to_end(start):
    job = start()
    job.runs()
    job.process.send_signal(signal.SIGTERM)
    assert job.process.wait(timeout=30) == 143
    assert order(job) == ["end of training"] * 2 + ["end of relay"] * 2


def test_without_the_daemon_s_program_training_goes_on(start):
    job = start(without=("musterd",))
    job.runs(relays=0)
    job.until.touch()
    assert job.process.wait(timeout=30) == 0


def test_without_an_upstream_training_goes_on_and_that_is_said(start):
    job = start(environment={"MUSTER_UPSTREAM": None})
    job.runs(relays=0)
    assert all(line.endswith(" to nobody") for line in job.said("torchrun"))
    job.until.touch()
    assert job.process.wait(timeout=30) == 0
    assert "MUSTER_UPSTREAM is not set" in job.process.stderr.read()


def test_a_folder_of_the_job_goes_with_it(start):
    job = start(environment={"MUSTER_FOLDER": None})
    job.runs()
    folder = pathlib.Path(f"/tmp/muster-{job.environment['SLURM_JOB_ID']}")
    assert folder.is_dir()
    job.until.touch()
    assert job.process.wait(timeout=30) == 0
    assert not folder.exists()


@pytest.mark.skipif(not (ROOT / "daemon" / "relay").exists(), reason="musterd cannot be a relay yet")
def test_a_real_relay_brings_the_reports_to_the_daemon(start, tmp_path):
    (tmp_path / "central").mkdir()
    central = Musterd(tmp_path / "central")
    (tmp_path / "musterd").symlink_to(BUILD / "daemon" / "musterd")
    ranks = tmp_path / "torchrun"
    ranks.write_text('#!/bin/sh\nexec "$MUSTER" --address "$MUSTER_ADDRESS" simulate batch --ranks=2 --steps=50\n')
    ranks.chmod(0o755)
    try:
        job = start(without=("musterd", "torchrun"), environment={
            "MUSTER_UPSTREAM": central.grpc, "SLURM_JOB_NUM_NODES": "1", "MUSTER": str(BUILD / "cli" / "muster")
        })
        assert job.process.wait(timeout=60) == 0
        # The relays have ended, and sent before that what they had.
        [run] = [run for run in central.get("/api/v1/runs")["runs"] if run["run"] == "batch"]
        assert int(run["framesComplete"]) == 50, run
    finally:
        central.stop()


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing():
    done = subprocess.run(["shellcheck", SCRIPT], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
