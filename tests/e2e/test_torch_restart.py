"""Ranks that are killed and restarted from a checkpoint, then with fewer ranks."""

import os
import signal
import subprocess

import pytest
from conftest import BUILD, ROOT, wait_for

RUN = "restarted"
PATH = f"/api/v1/runs/{RUN}"
LAST_STEPS = 12


class Training:
    """train.py with its ranks in a process group of their own."""

    def __init__(self, address, checkpoint, *flags):
        command = [
            "/usr/bin/python3",
            ROOT / "examples" / "torch_ddp" / "train.py",
            f"--address={address}",
            f"--run-id={RUN}",
            f"--checkpoint={checkpoint}",
            "--checkpoint-every=5",
            *flags,
        ]
        environment = {**os.environ, "MUSTER_LIBRARY": str(BUILD / "client" / "libmuster.so")}
        self.process = subprocess.Popen(command, env=environment, start_new_session=True)

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def start(musterd, tmp_path):
    """Starts trainings that end with the test."""
    trainings = []

    def start_training(*flags):
        trainings.append(Training(musterd.grpc, tmp_path / "checkpoint", *flags))
        return trainings[-1]

    yield start_training
    for training in trainings:
        training.kill()


def steps_of(musterd, attempt):
    steps = musterd.get(f"{PATH}/steps", limit=4096).get("steps", [])
    return [step for step in steps if step["attempt"] == attempt]


def numbers(steps):
    return [int(step.get("step", 0)) for step in steps]


def test_attempts_and_frames_are_right_and_there_is_no_false_alarm(musterd, start, tmp_path):
    resume = f"--resume={tmp_path / 'checkpoint'}"

    def judged(attempt, count):
        def enough():
            try:
                return len(steps_of(musterd, attempt)) >= count
            except OSError:  # 404: the run has not been heard of
                return False

        wait_for(enough, f"{count} frames of attempt {attempt}", timeout=90)

    first = start("--ranks=8", "--steps=1000")
    judged(1, 18)
    first.kill()
    second = start("--ranks=8", "--steps=1000", resume)
    judged(2, 18)
    second.kill()
    third = start("--ranks=6", f"--steps={LAST_STEPS}", resume)
    assert third.process.wait(timeout=90) == 0

    def ended():
        run = next(r for r in musterd.get("/api/v1/runs")["runs"] if r["run"] == RUN)
        return run if run["state"] == "ENDED" else None

    run = wait_for(ended, "the run to end")
    attempts = run["attempts"]
    assert [(a["worldSize"], a["cause"], a.get("superseded", False)) for a in attempts] == [
        (8, "start", True),
        (8, "restart", True),
        (6, "resize", False),
    ]

    for attempt, size in ((1, 8), (2, 8), (3, 6)):
        steps = steps_of(musterd, attempt)
        first_step = numbers(steps)[0]
        # Nothing is missing, nothing is there twice.
        assert numbers(steps) == list(range(first_step, first_step + len(steps)))
        assert all(step["ranksExpected"] == size for step in steps)
        # Only frames that the kill cut off may lack ranks, and they say so.
        whole = [step for step in steps if step["ranksReporting"] == size]
        cut_off = steps[len(whole) :]
        assert steps == whole + cut_off
        assert all(step.get("superseded", False) for step in cut_off)
        assert len(cut_off) <= (2 if attempt < 3 else 0)
        shown = attempts[attempt - 1]
        assert int(shown.get("firstStep", 0)) == first_step
        assert int(shown["lastStep"]) == numbers(steps)[-1]

    starts = [numbers(steps_of(musterd, attempt))[0] for attempt in (1, 2, 3)]
    assert starts[0] == 0
    # Each restart goes on from a checkpoint, a little before the kill.
    assert starts[1] % 5 == 0 and 10 <= starts[1] <= numbers(steps_of(musterd, 1))[-1]
    assert starts[2] % 5 == 0 and starts[1] + 10 <= starts[2] <= numbers(steps_of(musterd, 2))[-1]
    assert len(steps_of(musterd, 3)) == LAST_STEPS

    assert musterd.get("/api/v1/alerts").get("alerts", []) == []
