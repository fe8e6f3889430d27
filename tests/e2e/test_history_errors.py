"""A disk that is full or a file that somebody holds: told, counted, and judging goes on."""

import resource
import signal
import sqlite3
import subprocess
import urllib.request

import conftest
from conftest import BUILD, Musterd, wait_for
from history import Load, ask


def metric(musterd, name):
    with urllib.request.urlopen(f"http://{musterd.http}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
    return None


def judged(musterd, load, steps):
    """Reports `steps` more steps, which are judged and acknowledged."""
    load.run(steps)
    wait_for(lambda: {s.acknowledged for s in load.stats()} == {load.step}, "all to be acknowledged")
    newest = musterd.get("/api/v1/runs/run/steps", limit=1)["steps"][0]
    assert int(newest["step"]) == load.step - 1


def test_a_locked_file(tmp_path):
    musterd = Musterd(tmp_path, f"--data-dir={tmp_path}")
    file = tmp_path / "history.db"
    load = Load(musterd.grpc, ranks=2)
    judged(musterd, load, 3)
    assert metric(musterd, "muster_history_up") == 1
    with sqlite3.connect(file, isolation_level=None) as holder:
        holder.execute("BEGIN IMMEDIATE")
        judged(musterd, load, 5)
        wait_for(lambda: metric(musterd, "muster_history_up") == 0, "the lock to be noticed")
        judged(musterd, load, 5)
        assert metric(musterd, 'muster_history_errors_total{reason="locked"}') >= 1
        holder.execute("ROLLBACK")
    holder.close()
    wait_for(lambda: metric(musterd, "muster_history_up") == 1, "the file to be written again")
    wait_for(lambda: ask(file, "SELECT count(*) FROM frame") == [(13,)], "what waited to be stored")
    assert metric(musterd, "muster_history_frames_lost_total") == 0
    load.close()
    assert musterd.stop() == 0
    log = musterd.log.read_text()
    assert log.count("cannot write") == 1 and log.count("is written again") == 1


def test_a_disk_without_room(tmp_path, monkeypatch):
    """Files of this daemon cannot grow beyond 300 kB."""

    class Limited(subprocess.Popen):
        def __init__(self, *arguments, **keywords):
            def limit():
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

            super().__init__(*arguments, preexec_fn=limit, **keywords)

    with monkeypatch.context() as patched:
        patched.setattr(conftest.subprocess, "Popen", Limited)
        musterd = Musterd(tmp_path, f"--data-dir={tmp_path}")
    load = Load(musterd.grpc, ranks=2)
    wait_for(lambda: load.run(20) or metric(musterd, "muster_history_up") == 0, "the disk to be full")
    judged(musterd, load, 20)
    load.close()
    assert musterd.stop() == 0
    (tmp_path / "ports.json").unlink()
    assert "cannot write" in musterd.log.read_text()
    # What was stored before can be read, and a daemon with room goes on there.
    file = tmp_path / "history.db"
    assert ask(file, "PRAGMA integrity_check") == [("ok",)]
    ((stored,),) = ask(file, "SELECT count(*) FROM frame")
    assert 0 < stored < load.step
    again = Musterd(tmp_path, f"--data-dir={tmp_path}")
    assert int(again.get("/api/v1/runs/run/steps", limit=1)["steps"][0]["step"]) == stored - 1
    assert again.stop() == 0


def test_one_daemon_to_a_folder(tmp_path):
    musterd = Musterd(tmp_path, f"--data-dir={tmp_path}")
    second = subprocess.run(
        [BUILD / "daemon" / "musterd", f"--data-dir={tmp_path}", "--grpc-address=127.0.0.1:0", "--http-address=127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert second.returncode == 1
    assert "another musterd keeps its data here" in second.stderr
    assert second.stderr.count("\n") == 1
    assert musterd.stop() == 0


def test_a_newer_file_is_refused(tmp_path):
    assert Musterd(tmp_path, f"--data-dir={tmp_path}").stop() == 0
    file = tmp_path / "history.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    for command in (
        [BUILD / "daemon" / "musterd", f"--data-dir={tmp_path}", "--grpc-address=127.0.0.1:0", "--http-address=127.0.0.1:0"],
        [BUILD / "cli" / "muster", "replay", "--history", file],
    ):
        result = subprocess.run(command, capture_output=True, text=True, timeout=20)
        assert result.returncode in (1, 2)
        assert f"{file}: written by a newer Muster: its version is 99, this program knows up to 2" in result.stderr


def test_without_a_folder_nothing_waits(tmp_path):
    musterd = Musterd(tmp_path)
    load = Load(musterd.grpc, ranks=2)
    judged(musterd, load, 3)
    assert metric(musterd, "muster_history_up") is None
    load.close()
    assert musterd.stop() == 0
