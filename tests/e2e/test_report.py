"""`muster report`: a file that shows a run without its daemon, opened in headless Chromium."""

import json
import re
import subprocess

import page
import pytest
from conftest import BUILD, Musterd, wait_for
from page import see

HOSTILE = "</script><img src=x onerror=window.hacked=true>"
MUSTER = BUILD / "cli" / "muster"
PLOTS = 3 + 2  # charts; heatmap and matrix


def muster(*arguments, code=0):
    done = subprocess.run([MUSTER, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module", autouse=True)
def installed():
    page.install()


def opened(file, folder, **given):
    saw = see("report", file.as_uri(), folder, **given)
    assert saw["requests"] <= 3, "the file itself, each time that it was opened"
    assert not saw["hacked"]
    assert len(saw["ink"]) >= PLOTS and min(saw["ink"]) > 3, "plots are drawn"
    return saw


def test_report_shows_a_fault_after_its_daemon_is_gone(tmp_path):
    data = tmp_path / "data"
    daemon = Musterd(tmp_path, f"--data-dir={data}")
    try:
        # Another random draw of the same healthy run, and one that a rank spoils.
        for run, seed, *fault in (("base", 1), ("ticket-7", 2, "--fault=loss-shift:3:300:6")):
            muster("--address", daemon.grpc, "simulate", run, "--steps=600", "--sketch-width=256", f"--seed={seed}", *fault)
        [alert] = daemon.get("/api/v1/alerts", run="ticket-7")["alerts"]
        history = data / "history.db"
        report = tmp_path / "ticket.html"
        comparison = ("--history", history, "--reference", "base")
        told = muster("--address", daemon.grpc, "report", "ticket-7", "-o", report, *comparison)
        assert told.stdout == f"{report}\n"
        numbers = json.loads(muster("--json", "compare", "ticket-7", "base", "--history", history, code=1).stdout)
    finally:
        daemon.stop()
    html = report.read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
    assert "connect-src 'none'" in policy and "default-src 'none'" in policy and "unsafe" not in policy
    assert '"run":"base"' not in html, "other runs are nobody's business"

    saw = opened(report, "report-fault", matrix=True, comparison=True)
    assert saw["hash"] == "#/runs/ticket-7", "it opens on its run"
    assert saw["title"].startswith("Ended with alerts: ticket-7")
    assert "All ranks said goodbye after step 599" in saw["verdict"]
    for words in ("RankOutlier", alert["evidence"], "What to check", "rank 3", "Report of 20"):
        assert words in saw["body"], words
    assert saw["matrix"] == f"at step {alert['firstStep']}"
    assert numbers["differs"] and "Differs: loss dispersion" in saw["comparison"]
    shown = saw["comparison"].replace("\u202f", "")
    assert "600 common steps, 0–599" in shown and "base" in shown
    row = next(line for line in shown.splitlines() if line.startswith("Loss dispersion"))
    assert f"×{numbers['lossDispersion']['ratio']:.2f}" in row and "▲ differs" in row
    assert saw["list"].count("ticket-7") == 1

    looked = see("look", report.as_uri(), "report-look", paths={"report": ""}, drawn=["report"])
    assert [fault for fault in looked["faults"] if fault["impact"] in ("serious", "critical")] == []
    assert looked["overflow"] == [], "also on a telephone"


FACTS = f"""
monitor = muster.start()
monitor.facts(**{{{HOSTILE!r}: {HOSTILE!r} + os.environ["RANK"]}})
train(monitor, 0, 30)
monitor.close()
"""


def test_hostile_facts_are_text(musterd, script, tmp_path):
    ranks = [script(FACTS, address=musterd.grpc, run="hostile", rank=rank, world_size=2) for rank in (0, 1)]
    for rank in ranks:
        rank.wait()
    wait_for(lambda: musterd.get("/api/v1/alerts", run="hostile")["alerts"], "the alert on the fact")
    report = tmp_path / "hostile.html"
    muster("--address", musterd.grpc, "report", "-o", report)
    saw = opened(report, "report-hostile")
    assert f"{HOSTILE}0" in saw["body"] and f"{HOSTILE}1" in saw["body"]
    assert "FactMismatch" in saw["body"]
