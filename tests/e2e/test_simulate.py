"""`muster simulate` against a real daemon: what it sends is taken, and judged as it should be."""

import json
import subprocess

from conftest import BUILD, Musterd


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


def test_ranks_come_through_streams_as_relays_have_them(musterd):
    """Every report is taken once, and the frames are whole; nothing in the dealt sketches looks like a fault."""
    arguments = ["--ranks=50", "--streams=7", "--steps=400", "--sketch-width=64", "--sketch-pool=512"]
    done = simulate(musterd.grpc, "relayed", *arguments)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["steps"], summary["reports"], summary["acknowledged"]) == (400, 20000, 20000)
    assert (summary["refused"], summary["alertsFired"], summary["behindSeconds"]) == (0, 0, 0)
    assert 0 < summary["acknowledgedWithinSeconds"] < summary["seconds"]
    (run,) = musterd.get("/api/v1/runs")["runs"]
    assert (run["framesComplete"], run.get("framesPartial", "0"), run["state"]) == ("400", "0", "ENDED")
    ranks = musterd.get("/api/v1/runs/relayed/ranks")["ranks"]
    nodes = [rank["host"].rsplit("-", 1)[1] for rank in ranks]
    assert sorted(nodes.count(str(node)) for node in range(7)) == [7] * 6 + [8]
    assert nodes == sorted(nodes)


def test_a_pace_is_kept_and_a_fault_found_across_streams(musterd):
    arguments = ["--ranks=12", "--streams=3", "--steps=400", "--steps-per-second=200", "--fault=loss-shift:9:200:5"]
    done = simulate(musterd.grpc, "paced", *arguments)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["seconds"] >= 399 / 200
    assert summary["acknowledged"] == 4800
    assert [alert[: len("RankOutlier: Rank 9's loss")] for alert in summary["alerts"]] == ["RankOutlier: Rank 9's loss"]


def test_a_stream_that_is_refused_ends_all(tmp_path):
    config = tmp_path / "musterd.yaml"
    config.write_text("limits:\n  max_world_size: 4\n")
    small = Musterd(tmp_path, f"--config={config}")
    try:
        done = simulate(small.grpc, "large", "--ranks=6", "--streams=3")
    finally:
        small.stop()
    assert done.returncode == 2
    assert "musterd refused: world size" in done.stderr


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


def into_history(file, *arguments):
    return subprocess.run(
        [BUILD / "cli" / "muster", "--json", "simulate", "stored", f"--history={file}", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def replay(file):
    command = [BUILD / "cli" / "muster", "replay", f"--history={file}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def untimed(lines):
    """What a run was judged to be, without the time of day at which it ended."""
    return [json.loads(line)["alert"] for line in lines.splitlines()]


def test_a_run_goes_straight_into_a_history_and_is_judged_as_a_daemon_would(tmp_path):
    arguments = ["--steps=600", "--ranks=8", "--sketch-width=64", "--fault=loss-shift:3:300:4"]
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    done = into_history(first, *arguments)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["steps"], summary["reports"]) == (600, 4800)
    [alert] = summary["alerts"]
    assert alert.startswith("RankOutlier: Rank 3's loss has been above")
    assert into_history(second, *arguments).returncode == 0
    assert replay(first) == replay(first) != ""
    assert untimed(replay(first)) == untimed(replay(second))
    frames = subprocess.run(
        ["sqlite3", first, "SELECT count(*), min(step), max(step) FROM frame"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert frames == "600|0|599\n"
    # A second run of the same file; the first one is there still.
    assert into_history(first, *arguments).returncode == 0
    assert len(untimed(replay(first))) == 2 * len(untimed(replay(second)))


def test_a_rank_that_dies_in_a_stored_run_is_missed_in_the_time_of_the_model(tmp_path):
    done = into_history(tmp_path / "h.db", "--steps=200", "--fault=rank-dies:5:100")
    assert done.returncode == 0, done.stderr
    assert any(line.startswith("RankMissing") and "5" in line for line in json.loads(done.stdout)["alerts"])


def test_what_does_not_fit_a_stored_run_is_refused(tmp_path):
    paced = into_history(tmp_path / "h.db", "--steps-per-second=5")
    assert paced.returncode == 2 and "--steps-per-second" in paced.stderr
    nowhere = into_history(tmp_path / "no" / "h.db")
    assert nowhere.returncode == 2 and str(tmp_path / "no" / "h.db") in nowhere.stderr
