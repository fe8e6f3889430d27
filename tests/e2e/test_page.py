"""The page in headless Chromium, against the real daemon and synthetic runs.

Screenshots stay in build/screenshots.
"""

import gzip
import json
import subprocess
import urllib.request

import page
import pytest
from conftest import BUILD, Musterd, wait_for
from page import see

HOSTILE = "<img src=x onerror=window.hacked=true>"
MUSTER = BUILD / "cli" / "muster"


@pytest.fixture(scope="module", autouse=True)
def installed():
    page.install()


def simulate(address, *arguments):
    subprocess.run(
        [MUSTER, "--address", address, "simulate", "--sketch-width=256", *arguments],
        check=True,
        capture_output=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """Runs to look at: one that was well, one whose rank 3 was not."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "musterd.yaml").write_text("keep_ended: 24h\n")
    daemon = Musterd(folder, f"--config={folder / 'musterd.yaml'}")
    simulate(daemon.grpc, "well", "--steps=300")
    simulate(daemon.grpc, "unwell", "--steps=2000", "--fault=loss-shift:3:1000:4")
    yield daemon
    daemon.stop()


def url(daemon):
    return f"http://{daemon.http}/"


def index(daemon):
    with urllib.request.urlopen(url(daemon), timeout=10) as answer:
        return answer.read().decode()


def test_page_is_small(daemon):
    assert len(gzip.compress(index(daemon).encode(), 9)) <= 150_000


def test_run_is_followed_and_its_trouble_named(musterd):
    with subprocess.Popen(
        [
            MUSTER,
            f"--address={musterd.grpc}",
            "simulate",
            "live",
            "--sketch-width=256",
            "--steps=100000",
            "--steps-per-second=25",
            "--fault=loss-shift:3:250:6",
        ],
        stdout=subprocess.DEVNULL,
    ) as run:
        try:
            wait_for(lambda: musterd.get("/api/v1/runs").get("runs"), "the run")
            saw = see("live", url(musterd), run="live")
            [alert] = musterd.get("/api/v1/alerts", run="live", firing=1)["alerts"]
        finally:
            run.kill()
    assert "agree at step" in saw["before"]["sentence"], "it began well"
    assert "Agree" in saw["inList"]
    assert "Rank 3’s loss stands apart since step 2" in saw["sentence"].replace("\u202f", "")
    assert ("the mean loss does not show it" in saw["sentence"]) == alert["silent"]
    assert ("Silent" in saw["alert"]) == alert["silent"]
    assert "RankOutlier" in saw["alert"] and "Rank 3's loss has been above the median" in saw["alert"]
    assert "What to check" in saw["checks"] and "the rank's data" in saw["checks"]
    assert "rank 3" in saw["legend"], "the accused rank is drawn unasked"
    assert saw["title"].startswith("Disagree: live")
    assert "Disagree" in saw["listed"] and "Rank 3’s loss stands apart" in saw["listed"]
    assert saw["headline"] == "In one run the ranks disagree"
    assert saw["overflow"] <= 0


def test_reader_zooms_and_chooses_ranks_and_pairs(daemon):
    saw = see("explore", url(daemon), run="unwell", step=1500)
    assert saw["all"].replace("\u202f", "").startswith("steps 0–1999, about ")
    assert saw["first"][0] == "points=600&digits=8" and len(set(saw["first"])) == len(saw["first"]), "what is sent early is not sent again"
    assert saw["hover"].startswith("at step"), saw["hover"]
    assert len(saw["cursors"]) == 3, "one cursor in three charts"
    assert max(saw["cursors"]) - min(saw["cursors"]) <= 3
    first, last = (int(step) for step in saw["zoomed"].replace("\u202f", "").removeprefix("steps ").split(",")[0].split("–"))
    assert abs(first - 500) < 40 and abs(last - 1000) < 40, saw["zoomed"]
    assert {"series", "heatmap"} <= set(saw["asked"]), "finer data were asked for"
    assert saw["sent"] == saw["zoomed"], "the address gives the same view"
    assert saw["reset"] == saw["all"]
    assert saw["cell"].startswith("Rank 5, step") and "robust deviations" in saw["cell"]
    assert "rank 5" in saw["rank5"] and "rank 6" in saw["rank6"]
    assert saw["pressed"] and {"3", "5", "6"} == set(saw["pressed"])
    assert saw["byDeviation"][0] == "3", "the deviant rank is first"
    assert saw["byRank"] == [str(rank) for rank in range(8)]
    assert saw["sorted"].startswith("Rank")
    assert saw["metric"] == ["gradient_norm"]
    assert saw["matrix"].replace("\u202f", "") == "at step 1500"
    matrix = daemon.get("/api/v1/runs/unwell/matrix", step=1500)
    assert saw["pair"] == f"Ranks 1 and 2: cosine {matrix['cosines'][1 * 8 + 2]:.3f}"
    assert "“many”" in saw["refused"]


def test_keyboard_reaches_everything(daemon):
    saw = see("keyboard", url(daemon), run="unwell")
    assert saw["skip"] == "a skip Skip to content" and saw["main"] == "main"
    assert saw["page"] == "#/runs/unwell"
    assert saw["outline"] == "solid", "focus is seen"
    assert "mean" in saw["first"] and "ranks" in saw["first"]
    assert saw["second"] != saw["first"]
    assert "from=" in saw["address"]
    assert saw["matrix"] and "newest" not in saw["matrix"]
    assert saw["cell"].startswith("Rank 1")
    assert "rank 1" in saw["chosen"]
    assert saw["pair"].startswith("Ranks 1 and 0")


def test_no_accessibility_fault_in_light_and_dark(daemon, musterd):
    paths = {"list": "#/", "run": "#/runs/unwell", "well": "#/runs/well"}
    faults = []
    for one, given in ((daemon, {"paths": paths, "drawn": ["run", "well"]}), (musterd, {"paths": {"empty": "#/"}, "drawn": []})):
        saw = see("look", url(one), "look-empty" if one is musterd else "look", **given)
        faults += [fault for fault in saw["faults"] if fault["impact"] in ("serious", "critical")]
        assert saw["overflow"] == []
        assert saw["backgrounds"]["light"] != saw["backgrounds"]["dark"]
        chosen = saw["chosen"]
        assert chosen["before"] == saw["backgrounds"]["light"]
        assert chosen["after"] == chosen["reloaded"] == saw["backgrounds"]["dark"]
        assert "dark" in chosen["label"]
    assert faults == []


def test_empty_daemon_says_how_to_begin(musterd):
    read = see("read", url(musterd), "empty", paths={"empty": "#/"})["read"]["empty"]
    assert "No run yet" in read
    for line in ("muster.start(", "muster.torch.watch(monitor, ddp_model)", "monitor.end_step(step", "monitor.close()"):
        assert line in read


def test_lost_daemon_leaves_what_was_seen(tmp_path):
    folders = [tmp_path / name for name in ("data", "first", "second")]
    for folder in folders:
        folder.mkdir()
    data, first, second = folders
    daemon = Musterd(first, f"--data-dir={data}")
    simulate(daemon.grpc, "kept", "--steps=200")
    process = page.start("states", url(daemon), "states", {"run": "kept"})
    try:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        daemon.stop()
        process.stdin.write("gone\n")
        process.stdin.flush()
        assert process.stdout.readline() == "lost\n"
        again = Musterd(second, f"--data-dir={data}", http=daemon.http)
        try:
            process.stdin.write("back\n")
            process.stdin.flush()
            saw = page.finish(process)
        finally:
            again.stop()
    finally:
        process.kill()
    assert "Live" in saw["status"] and "Lost" in saw["lost"]
    assert "has not answered since" in saw["banner"]
    assert saw["kept"] == saw["step"] == "199", "the last data stay"
    assert "grayscale" in saw["grey"]
    assert "Live" in saw["back"] and saw["bannerGone"]


RANK = f"""
monitor = muster.start()
monitor.facts(**{{{HOSTILE!r}: {HOSTILE!r} + os.environ["RANK"], "same": {HOSTILE!r}}})
train(monitor, 0, 30)
monitor.close()
"""


def test_hostile_names_and_values_are_text(musterd, script):
    ranks = [script(RANK, address=musterd.grpc, run="hostile", rank=rank, world_size=2) for rank in (0, 1)]
    for rank in ranks:
        rank.wait()
    wait_for(lambda: musterd.get("/api/v1/alerts", run="hostile")["alerts"], "the alert on the fact")
    saw = see("read", url(musterd), "hostile", paths={"list": "#/", "run": "#/runs/hostile", "none": f"#/runs/{HOSTILE}"}, drawn=["run"])
    assert f"{HOSTILE}0" in saw["read"]["run"], "the value stands there as text"
    assert saw["read"]["run"].count(HOSTILE) >= 3
    assert HOSTILE in saw["read"]["list"], "the alert's subject is the fact's name"
    assert not any(saw["read"][f"{name} hacked"] for name in ("list", "run", "none"))


def test_report_needs_no_daemon(daemon, tmp_path):
    api = "/api/v1/runs/unwell"
    data = {
        path: json.loads(urllib.request.urlopen(f"http://{daemon.http}{path}", timeout=10).read())
        for path in (
            "/api/v1/runs",
            "/api/v1/alerts?run=unwell",
            f"{api}/ranks",
            f"{api}/series?points=600&rank=3",
            f"{api}/heatmap?metric=loss",
            f"{api}/heatmap?metric=gradient_norm",
            f"{api}/heatmap?metric=gradient_cosine",
            f"{api}/matrix",
        )
    }
    inlined = json.dumps(data).replace("<", "\\u003c")
    # Before the page's own script, which looks for it.
    html = index(daemon).replace("<body>", f'<body><script type="application/json" id="muster-data">{inlined}</script>', 1)
    report = tmp_path / "report.html"
    report.write_text(html)
    saw = see("read", report.as_uri(), "report", paths={"run": "#/runs/unwell", "list": "#/"}, drawn=["run"])
    assert saw["requests"] == 2, "the file itself, twice"
    assert "All ranks said goodbye after step 1\u202f999" in saw["read"]["run"]
    assert "rank 3" in saw["read"]["run"]
    assert "Report" in saw["read"]["run"]
