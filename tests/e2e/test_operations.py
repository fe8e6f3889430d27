"""docs/operations.md: its procedures run, and it has a word on each alert about Muster itself."""

import math
import re
import subprocess

import pytest
from conftest import BUILD, ROOT, Musterd, wait_for

yaml = pytest.importorskip("yaml")

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
RULES = ROOT / "deploy" / "prometheus" / "muster.rules.yaml"


def test_each_alert_about_muster_itself_has_a_first_move():
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    [health] = [group["rules"] for group in groups if group["name"] == "muster.health"]
    named = re.findall(r"^\| \[(\w+)\]\(alerts\.md#(\w+)\) \| \S.* \|$", PAGE, re.MULTILINE)
    assert [name for name, _ in named] == [rule["alert"] for rule in health]
    for name, anchor in named:
        assert anchor == name.lower()


@pytest.mark.parametrize("text", re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
def test_musterd_takes_each_configuration(text, tmp_path):
    if "relay" in yaml.safe_load(text) and not (ROOT / "daemon" / "relay").exists():
        pytest.skip("musterd cannot be a relay yet")
    (tmp_path / "musterd.yaml").write_text(text)
    done = subprocess.run(
        [BUILD / "daemon" / "musterd", "--check-config", "--config", tmp_path / "musterd.yaml"],
        capture_output=True, text=True, timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_arithmetic_of_daemons_adds_up():
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    number = r"([\d,]+)"
    form = rf"^\| {number} of {number} ranks, 1 step(?: in (\d+) s|/s) \| {number} \| (\d+)[^|]*\| (\d+) \| (\d+) \|$"
    rows = re.findall(form, page, re.MULTILINE)
    assert len(rows) == 3
    for row in rows:
        runs, ranks, seconds, reports, *daemons = [int(text.replace(",", "") or 1) for text in row]
        assert reports == runs * ranks / seconds
        assert daemons == [math.ceil(reports / (carried / 2)) for carried in (10_000, 20_000, 40_000)]


def frames(file):
    done = subprocess.run(
        ["sqlite3", "-readonly", file, "SELECT count(*) FROM frame"], capture_output=True, text=True, timeout=60
    )
    return int(done.stdout or 0)


def test_a_backup_taken_while_the_daemon_writes_is_whole(tmp_path):
    commands = re.findall(r"^sqlite3 (\S+) (\".*?\") ", PAGE, re.MULTILINE)
    assert len(commands) == 3
    daemon = Musterd(tmp_path, f"--data-dir={tmp_path}")
    simulate = [BUILD / "cli" / "muster", "--address", daemon.grpc, "simulate", "run", "--steps=100000", "--ranks=4"]
    load = subprocess.Popen([*simulate, "--steps-per-second=200"], stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: frames(tmp_path / "history.db") > 50, "steps")
        said = [
            subprocess.run(
                f"sqlite3 {file} {what}", shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60
            )
            for file, what in commands
        ]
        assert load.poll() is None
    finally:
        load.kill()
        load.wait()
        daemon.stop()
    assert [done.returncode for done in said] == [0, 0, 0], [done.stderr for done in said]
    assert said[2].stdout.strip() == "ok"
    for copy in ("backup.db", "compact.db"):
        assert frames(tmp_path / copy) > 50
        replay = subprocess.run(
            [BUILD / "cli" / "muster", "replay", "--history", tmp_path / copy],
            capture_output=True, text=True, timeout=60,
        )
        assert replay.returncode == 0, replay.stderr
