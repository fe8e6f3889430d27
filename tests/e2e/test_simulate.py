"""`muster simulate` against a real daemon: what it sends is taken, and judged as it should be."""

import json
import subprocess

from conftest import BUILD


def simulate(address, *arguments):
    return subprocess.run(
        [BUILD / "cli" / "muster", "--address", address, "--json", "simulate", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_healthy_run_is_taken_whole_and_raises_nothing(musterd):
    done = simulate(musterd.grpc, "healthy", "--steps=400", "--ranks=16", "--sketch-width=64")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["steps"], summary["reports"]) == (400, 6400)
    assert (summary["refused"], summary["alertsFired"]) == (0, 0)
    steps = musterd.get("/api/v1/runs/healthy/steps", limit=400)["steps"]
    assert len(steps) == 400
    assert all(int(step["ranksReporting"]) == 16 for step in steps)


def test_a_fault_is_found_with_its_rank(musterd):
    done = simulate(musterd.grpc, "faulty", "--steps=400", "--fault=loss-shift:3:300:4")
    assert done.returncode == 0, done.stderr
    [alert] = json.loads(done.stdout)["alerts"]
    assert alert.startswith("RankOutlier: Rank 3's loss has been above")


def test_wrong_usage_and_no_daemon_have_their_exit_codes(musterd):
    wrong = simulate(musterd.grpc, "--fault=loss-shift:8:0")
    assert wrong.returncode == 2
    assert "allowed are 0 … 7" in wrong.stderr
    musterd.stop()
    absent = simulate(musterd.grpc, "--steps=1")
    assert absent.returncode == 3
    assert "cannot reach musterd" in absent.stderr
