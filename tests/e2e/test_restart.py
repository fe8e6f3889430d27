"""Real training ranks that are killed, restarted from a checkpoint, and resized."""

import os
import pathlib
import signal
import subprocess

from conftest import ROOT, wait_for

TRAIN = ROOT / "examples" / "torch_ddp" / "train.py"
RUN = "elastic"


def start(musterd, checkpoint, log, ranks, steps, *flags):
    return subprocess.Popen(
        [
            "/usr/bin/python3",
            TRAIN,
            f"--address={musterd.grpc}",
            f"--run-id={RUN}",
            f"--ranks={ranks}",
            f"--steps={steps}",
            f"--checkpoint={checkpoint}",
            "--checkpoint-every=5",
            *flags,
        ],
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def kill(job):
    """As a lost node: every process of the job at once, no goodbyes."""
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()


def the_run(musterd):
    for run in musterd.get("/api/v1/runs")["runs"]:
        if run["run"] == RUN:
            return run
    return None


def newest_step(musterd):
    run = the_run(musterd)
    return int(run["newest"]["step"]) if run and "newest" in run else -1


def wait_for_step(musterd, job, step):
    def reached():
        assert job.poll() is None, "the job ended early"
        return newest_step(musterd) >= step

    wait_for(reached, f"step {step}", timeout=120)


def test_killed_restarted_and_resized(musterd, tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    with open(tmp_path / "train.log", "wb") as log:
        job = start(musterd, checkpoint, log, 8, 1000)
        wait_for_step(musterd, job, 17)
        kill(job)
        first_last = newest_step(musterd)

        # Steps since the checkpoint come again, from the same ranks.
        job = start(musterd, checkpoint, log, 8, 1000, f"--resume={checkpoint}")
        wait_for(lambda: the_run(musterd)["attempt"] == 2, "the second attempt", timeout=120)
        wait_for_step(musterd, job, first_last + 10)
        kill(job)
        second_last = newest_step(musterd)

        job = start(musterd, checkpoint, log, 6, 20, f"--resume={checkpoint}")
        assert job.wait(timeout=120) == 0, (tmp_path / "train.log").read_text()[-2000:]
    wait_for(lambda: the_run(musterd)["state"] == "ENDED", "the run to end")

    run = the_run(musterd)
    attempts = run["attempts"]
    assert [each["attempt"] for each in attempts] == [1, 2, 3]
    assert [each["worldSize"] for each in attempts] == [8, 8, 6]
    assert [each["cause"] for each in attempts] == ["start", "restart", "resize"]
    assert [each["superseded"] for each in attempts] == [True, True, False]
    assert int(attempts[0]["firstStep"]) == 0
    # Each restart goes back to a checkpoint, a multiple of 5 behind the last step.
    for before, after in zip(attempts, attempts[1:]):
        assert int(after["firstStep"]) % 5 == 0
        assert int(after["firstStep"]) <= int(before["lastStep"]) + 1
    assert int(attempts[1]["lastStep"]) >= first_last
    assert int(attempts[2]["lastStep"]) == int(attempts[2]["firstStep"]) + 19
    assert second_last >= int(attempts[2]["firstStep"])

    steps = musterd.get(f"/api/v1/runs/{RUN}/steps", limit=4096)["steps"]
    for attempt in attempts:
        frames = [each for each in steps if each["attempt"] == attempt["attempt"]]
        numbers = [int(each["step"]) for each in frames]
        first, last = int(attempt["firstStep"]), int(attempt["lastStep"])
        assert numbers == list(range(first, last + 1)), "a frame is missing or out of order"
        assert all(each["ranksExpected"] == attempt["worldSize"] for each in frames)
        partial = [each for each in frames if each["ranksReporting"] < each["ranksExpected"]]
        # Only what the kill cut off may lack ranks.
        assert all(each["superseded"] for each in partial), partial
        assert len(partial) <= 2
    assert musterd.get("/api/v1/alerts")["alerts"] == []
