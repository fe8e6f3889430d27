"""A daemon that is killed at any moment: nothing that it acknowledged is lost, and it goes on."""

import os
import random
import signal
import time

import pytest
from conftest import Musterd, wait_for
from history import Background, Load, ask, normal, replay, replayed_alerts, stored_alerts
from processes import free_address

FRAMES_PER_SECOND = 50
# The issue asks for 100; fewer fit into every test run.
KILLS = int(os.environ.get("MUSTER_KILLS", "25"))


class Mortal:
    """A daemon on one address and one folder, life after life."""

    def __init__(self, folder, *flags):
        self.folder, self._flags = folder, flags
        self.file = folder / "history.db"
        self.address = free_address()
        self.start()

    def start(self):
        (self.folder / "ports.json").unlink(missing_ok=True)
        self.daemon = Musterd(self.folder, f"--data-dir={self.folder}", *self._flags, grpc=self.address)

    def kill(self):
        self.daemon.process.send_signal(signal.SIGKILL)
        self.daemon.process.wait()

    def firing(self):
        """(kind, id) of each alert that fires, as the API tells them."""
        alerts = self.daemon.get("/api/v1/alerts").get("alerts", [])
        return sorted((a["kind"], a["id"]) for a in alerts if a.get("state", "").lower().endswith("firing"))


@pytest.fixture
def mortal(tmp_path):
    # A client that finds nobody asks more and more rarely: its frames wait, so that no report is late.
    config = tmp_path / "musterd.yaml"
    config.write_text("frames:\n  timeout: 1h\n  overflow_after: 1h\n")
    mortal = Mortal(tmp_path, f"--config={config}")
    yield mortal
    mortal.daemon.stop()


def acknowledged_of(load):
    return [stats.acknowledged for stats in load.stats()]


def stored_sequences(file):
    """For each rank the number of steps of which its report is in the file."""
    kept = dict(
        ask(file, "SELECT rank, count(DISTINCT step) FROM rank_value WHERE metric='loss' AND value NOT NULL GROUP BY rank")
    )
    for (rank,) in ask(file, "SELECT rank FROM open_report"):
        kept[rank] = kept.get(rank, 0) + 1
    return kept


def stored_firing(file):
    """As Mortal.firing(), by the newest change of each alert in the file."""
    changes = ask(file, "SELECT id, kind, state FROM alert ORDER BY position, ordinal")
    newest = {id: (kind, state) for id, kind, state in changes}
    return sorted((kind, str(id)) for id, (kind, state) in newest.items() if state == "firing")


def test_killed_at_random_moments(mortal):
    """kill -9 under load; a pair of twins fires from the first life on."""
    load = Load(mortal.address, twins=range(10, 10**9))
    background = Background(load, FRAMES_PER_SECOND)
    rng = random.Random(5)
    wait_for(lambda: mortal.firing(), "the twins to be noticed")
    ((kind, _),) = incident = mortal.firing()
    assert kind == "DuplicateShard"
    wait_for(lambda: stored_firing(mortal.file), "the incident to be stored")
    for kill in range(KILLS):
        time.sleep(rng.uniform(0.02, 0.6))
        acknowledged = acknowledged_of(load)
        mortal.kill()
        assert ask(mortal.file, "PRAGMA integrity_check") == [("ok",)]
        kept = stored_sequences(mortal.file)
        for rank, count in enumerate(acknowledged):
            assert kept[rank] >= count, f"kill {kill}: rank {rank} lost {count - kept[rank]} acknowledged reports"
        firing = stored_firing(mortal.file)
        assert incident[0] in firing
        mortal.start()
        # Ranks may have sent more meanwhile, but nothing stops firing.
        assert set(firing) <= set(mortal.firing()), f"kill {kill}"
    background.stop()
    # All clients find the daemon again, and what was on its way is sent again.
    everything = [load.step] * len(load.monitors)
    wait_for(lambda: acknowledged_of(load) == everything, f"{load.step} to be acknowledged by each", timeout=60)
    assert sum(stats.dropped for stats in load.stats()) == 0
    assert incident[0] in mortal.firing()
    load.close()
    assert mortal.daemon.stop() == 0

    steps = ask(mortal.file, "SELECT step, ranks_reporting FROM frame ORDER BY position")
    assert steps == [(step, len(load.monitors)) for step in range(load.step)]
    assert ask(mortal.file, "SELECT DISTINCT attempt FROM frame") == [(1,)]
    # A life that ends before its first commit leaves nothing behind.
    ((lives,),) = ask(mortal.file, "SELECT count(*) FROM event WHERE kind='resumed'")
    assert KILLS / 2 < lives <= KILLS
    assert ask(mortal.file, "SELECT kind, count(DISTINCT id) FROM alert WHERE kind='DuplicateShard'") == [
        ("DuplicateShard", 1)
    ]
    # Every life is judged again as it was.
    again = replay(mortal.file)
    assert replayed_alerts(again) == normal(stored_alerts(mortal.file))
    assert replay(mortal.file).stdout == again.stdout


def test_open_frames_survive(mortal):
    """A rank that is slow over a restart completes the frame that was open before it."""
    load = Load(mortal.address, ranks=3)
    load.run(3)
    for monitor in load.monitors[:2]:
        monitor.end_step(3, loss=1.0)
    wait_for(lambda: acknowledged_of(load) == [4, 4, 3], "the two to be acknowledged")
    mortal.kill()
    mortal.start()
    load.monitors[2].end_step(3, loss=1.0)
    wait_for(lambda: acknowledged_of(load) == [4, 4, 4], "the third to be acknowledged")
    wait_for(
        lambda: ask(mortal.file, "SELECT step, ranks_reporting, closed_because FROM frame WHERE step=3")
        == [(3, 3, "all_reported")],
        "the frame to be stored",
    )
    assert ask(mortal.file, "SELECT count(*) FROM open_report") == [(0,)]
    load.close()


def test_runs_are_shown_as_they_were(mortal):
    load = Load(mortal.address, ranks=4, broken=range(20, 21))
    load.run(40)
    wait_for(lambda: acknowledged_of(load) == [40] * 4, "all to be acknowledged")

    def shown():
        (run,) = mortal.daemon.get("/api/v1/runs")["runs"]
        alerts = mortal.daemon.get("/api/v1/alerts", run="run").get("alerts", [])
        steps = mortal.daemon.get("/api/v1/runs/run/steps", limit=100)["steps"]
        ranks = mortal.daemon.get("/api/v1/runs/run/ranks")["ranks"]
        return (
            run["attempts"],
            [(a["id"], a["kind"], a["state"], a["evidence"]) for a in alerts],
            steps,
            [(r.get("rank", 0), r["lastStep"]) for r in ranks],
        )

    before = shown()
    assert before[1], "no alert"
    assert mortal.daemon.stop() == 0
    mortal.start()
    assert shown() == before
    # The cosine to the mean direction of one step ago is known at once.
    load.run(1)
    wait_for(lambda: acknowledged_of(load) == [41] * 4, "the next to be acknowledged")
    newest = mortal.daemon.get("/api/v1/runs/run/steps", limit=1)["steps"][0]
    assert newest["step"] == "40"
    assert newest["stepCosine"] > 0
    assert newest["gradientNoiseScale"] > 0
    load.close()


def test_ended_runs_are_over(tmp_path):
    config = tmp_path / "musterd.yaml"
    config.write_text("keep_ended: 100ms\n")
    mortal = Mortal(tmp_path, f"--config={config}")
    load = Load(mortal.address, ranks=2)
    load.run(3)
    load.close()
    wait_for(lambda: ask(mortal.file, "SELECT open FROM run") == [(0,)], "the run to be forgotten")
    mortal.kill()
    mortal.start()
    assert mortal.daemon.get("/api/v1/runs").get("runs", []) == []
    again = Load(mortal.address, ranks=2)
    again.run(2)
    wait_for(lambda: acknowledged_of(again) == [2, 2], "the second to be acknowledged")
    assert ask(mortal.file, "SELECT name, open FROM run ORDER BY run") == [("run", 0), ("run", 1)]
    again.close()
    mortal.daemon.stop()
