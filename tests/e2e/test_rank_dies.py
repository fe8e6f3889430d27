"""A rank's process is killed while the others train on, or with all of them."""

import signal
import time

import pytest
from conftest import Musterd, wait_for

RANKS = 3
CONFIGURATION = """
frames: {overflow_after: 200ms}
detect: {rank_missing: {after: 1s}, duplicate_shard: {mode: off}}
"""
# Steps of 10 ms that nobody waits for, as between the averages of local updates.
TRAIN = """
with muster.start() as monitor:
    for step in range(3000):
        monitor.observe(0, GRADIENT)
        monitor.end_step(step, loss=1.0)
        time.sleep(0.01)
        if monitor.alerts():
            print(*{(alert.kind, alert.ranks) for alert in monitor.alerts()}, flush=True)
            break
"""


@pytest.fixture
def daemon(tmp_path):
    configuration = tmp_path / "musterd.yaml"
    configuration.write_text(CONFIGURATION)
    musterd = Musterd(tmp_path, "--config", str(configuration))
    yield musterd
    musterd.stop()


@pytest.fixture
def ranks(daemon, script):
    """All at their thirtieth step or later."""
    scripts = [script(TRAIN, daemon.grpc, rank=rank, world_size=RANKS) for rank in range(RANKS)]
    wait_for(lambda: frames(daemon) > 30, "ranks to train", timeout=60)
    return scripts


def run_of(daemon):
    runs = daemon.get("/api/v1/runs").get("runs", [])
    return runs[0] if runs else {}


def frames(daemon):
    return int(run_of(daemon).get("framesComplete", 0))


def alerts(daemon):
    return [(alert["kind"], alert["ranks"]) for alert in daemon.get("/api/v1/alerts").get("alerts", [])]


def test_a_killed_rank_is_missed_and_the_others_are_told(daemon, ranks):
    ranks[1].send(signal.SIGKILL)
    assert ranks[1].wait() == -signal.SIGKILL
    wait_for(lambda: alerts(daemon), "an alert")
    assert alerts(daemon) == [("RankMissing", [1])]
    for rank in (0, 2):
        ranks[rank].finish("('RankMissing', (1,))\n")


def test_nobody_is_missed_where_all_die_at_once(daemon, ranks):
    for rank in ranks:
        rank.send(signal.SIGKILL)
    for rank in ranks:
        rank.wait()
    # Twice the deadline since the newest frame.
    wait_for(lambda: time.time_ns() - int(run_of(daemon)["newestUnixNanos"]) > 2e9, "the deadline to pass")
    assert alerts(daemon) == []
