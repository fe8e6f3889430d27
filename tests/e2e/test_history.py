"""The history of a real daemon: what is in the file, and that it can be judged again."""

import datetime
import json
import os
import re

import pytest
from conftest import Musterd, wait_for
from history import RANKS, Load, ask, normal, replay, replayed_alerts, stored_alerts


@pytest.fixture
def daemon(tmp_path):
    musterd = Musterd(tmp_path, f"--data-dir={tmp_path}")
    yield musterd
    musterd.stop()


@pytest.fixture
def judged(tmp_path, daemon):
    """The file of a daemon that judged a run with two incidents and has ended."""
    load = Load(daemon.grpc, twins=range(50, 120), broken=range(150, 152))
    load.run(250, frames_per_second=200)
    load.close()
    assert daemon.stop() == 0
    return tmp_path / "history.db"


def test_all_frames_are_stored_with_each_ranks_values(judged):
    steps = ask(judged, "SELECT step, ranks_reporting, closed_because FROM frame ORDER BY position")
    assert [step for step, _, _ in steps] == list(range(250))
    assert {ranks for _, ranks, _ in steps} == {RANKS}
    # Each rank's loss, and its mean as the daemon took it; rank 1 had none twice.
    for step, mean, count in ask(
        judged,
        "SELECT frame.step, loss_mean - avg(value), count(value) FROM frame JOIN rank_value USING (run, position)"
        " WHERE metric = 'loss' GROUP BY position",
    ):
        assert abs(mean) < 1e-12
        assert count == (RANKS - 1 if 150 <= step < 152 else RANKS)
    assert ask(judged, "SELECT DISTINCT name, value FROM fact") == [("seed", "7")]
    assert ask(judged, "SELECT count(*) FROM source") == [(RANKS,)]


def test_replay_gives_the_same_alerts_byte_for_byte(judged):
    stored = stored_alerts(judged)
    kinds = [(line["kind"], line["state"]) for line in map(json.loads, stored)]
    assert ("DuplicateShard", "firing") in kinds
    assert ("NonFinite", "resolved") in kinds
    first = replay(judged)
    assert replayed_alerts(first) == normal(stored)
    lines = [re.fullmatch(r'{"time":"([^"]+)","alert":(.*)}', line) for line in first.stdout.splitlines()]
    assert [line[2] for line in lines] == stored
    # The times are those of then, in nanoseconds.
    walls = [wall for (wall,) in ask(judged, "SELECT wall_ns FROM alert ORDER BY position, ordinal")]
    for line, wall in zip(lines, walls):
        moment = datetime.datetime.fromisoformat(line[1][:19] + "+00:00")
        assert int(moment.timestamp()) == wall // 10**9
        assert int(line[1][20:29]) == wall % 10**9
    assert replay(judged).stdout == first.stdout
    # Another build says the same; scripts/test asks the one with sanitizers.
    if preset := os.environ.get("MUSTER_REPLAY_PRESET"):
        assert replay(judged, preset=preset).stdout == first.stdout


def test_replay_under_another_configuration(judged, tmp_path):
    patient = tmp_path / "patient.yaml"
    patient.write_text("detect:\n  duplicate_shard:\n    mode: off\n")
    result = replay(judged, "--config", patient)
    assert "DuplicateShard" not in result.stdout
    assert "NonFinite" in result.stdout


def test_a_replay_that_cannot_be_says_why_in_one_line(judged, tmp_path):
    broken = tmp_path / "broken.db"
    broken.write_bytes(judged.read_bytes()[:5000] + b"x" * 100_000)
    text = tmp_path / "text.db"
    text.write_text("no database" * 1000)
    bad = tmp_path / "bad.yaml"
    bad.write_text("detect:\n  margin: 1\n")
    for arguments, words in [
        ((tmp_path / "none.db",), ["none.db"]),
        ((text,), ["text.db"]),
        ((broken,), ["broken.db"]),
        ((judged, "--run", "other"), ["no run 'other'"]),
        ((judged, "--config", bad), ["bad.yaml:2"]),
    ]:
        result = replay(*arguments)
        assert result.returncode == 2, (arguments, result.stdout)
        assert result.stderr.count("\n") == 1, result.stderr
        for word in words:
            assert word in result.stderr


def test_reports_are_acknowledged_when_they_are_stored(daemon, tmp_path):
    load = Load(daemon.grpc)
    load.run(5)
    # A frame without rank 0 stays open; the others' reports are stored all the same.
    for monitor in load.monitors[1:]:
        monitor.end_step(5, loss=1.0)
    wait_for(
        lambda: [s.acknowledged for s in load.stats()] == [5] + [6] * (RANKS - 1), "reports to be acknowledged"
    )
    file = tmp_path / "history.db"
    assert ask(file, "SELECT count(*) FROM frame") == [(5,)]
    assert ask(file, "SELECT rank FROM open_report ORDER BY rank") == [(rank,) for rank in range(1, RANKS)]
    load.close()
