"""The page as musterd serves it, and a run's charts when most of it is in the history only."""

import base64
import gzip
import hashlib
import json
import math
import re
import sqlite3
import statistics
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from conftest import BUILD, ROOT, Musterd

STEPS = 5000  # more than the 4,096 that are in memory


def get(musterd, path, **headers):
    request = urllib.request.Request(f"http://{musterd.http}{path}", headers={k.replace("_", "-"): v for k, v in headers.items()})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status, answer.headers, answer.read()


def muster(musterd, *arguments, **options):
    command = [BUILD / "cli" / "muster", "--address", musterd.grpc, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    """A daemon that has followed a run of 4 ranks × 5,000 steps, all of them stored."""
    folder = tmp_path_factory.mktemp("long_run")
    data = folder / "data"
    data.mkdir()
    daemon = Musterd(folder, f"--data-dir={data}")
    done = muster(daemon, "simulate", "run", f"--steps={STEPS}", "--ranks=4", "--sketch-width=64")
    assert done.returncode == 0, done.stderr
    yield daemon, data / "history.db"
    daemon.stop()


def stored(path, sql):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        return database.execute(sql).fetchall()


def test_series_spans_the_whole_run_and_keeps_its_extremes(long_run):
    daemon, path = long_run
    series = daemon.get("/api/v1/runs/run/series", points=100, rank="2")
    assert (int(series["oldestStep"]), int(series["newestStep"]), int(series["frames"])) == (0, STEPS - 1, STEPS)
    assert series["stride"] == 1
    first, last = [int(step) for step in series["firstStep"]], [int(step) for step in series["lastStep"]]
    assert len(first) == 100 and first[0] == 0 and last[-1] == STEPS - 1
    assert all(b == a + 1 for a, b in zip(last, first[1:]))
    columns = {(c["name"], c.get("rank")): c for c in series["columns"]}
    means = dict(stored(path, "SELECT step, loss_mean FROM frame"))
    rank_losses = stored(path, "SELECT step, rank, value FROM rank_value WHERE metric = 'loss'")
    for i in (0, 50, 99):
        inside = [means[step] for step in range(first[i], last[i] + 1)]
        shown = columns["loss_mean", None]
        assert (shown["min"][i], shown["max"][i]) == (min(inside), max(inside))
        assert math.isclose(shown["mean"][i], statistics.fmean(inside))
        band = [value for step, _, value in rank_losses if first[i] <= step <= last[i]]
        assert (columns["rank_loss", None]["min"][i], columns["rank_loss", None]["max"][i]) == (min(band), max(band))
        two = [value for step, rank, value in rank_losses if first[i] <= step <= last[i] and rank == 2]
        assert columns["rank_loss", 2]["max"][i] == max(two)


def test_zooming_reads_steps_that_have_left_memory(long_run):
    daemon, path = long_run
    series = daemon.get("/api/v1/runs/run/series", **{"from": 10, "to": 19})
    assert [int(step) for step in series["firstStep"]] == list(range(10, 20))
    losses = [mean for (mean,) in stored(path, "SELECT loss_mean FROM frame WHERE step BETWEEN 10 AND 19 ORDER BY step")]
    assert series["columns"][0]["mean"] == losses


def test_heatmap_is_what_the_history_says(long_run):
    daemon, path = long_run
    heatmap = daemon.get("/api/v1/runs/run/heatmap", metric="gradient_norm", columns=1024, **{"from": 100, "to": 299})
    assert heatmap["ranks"] == [0, 1, 2, 3]
    rows = stored(path, "SELECT step, rank, value FROM rank_value WHERE metric='gradient_norm' AND step BETWEEN 100 AND 299")
    logs = {(step, rank): math.log(value) for step, rank, value in rows}
    distances = {}
    for step in range(100, 300):
        middle = statistics.median(logs[step, rank] for rank in range(4))
        for rank in range(4):
            distances[step, rank] = logs[step, rank] - middle
    scale = 1.4826 * statistics.median(abs(value) for value in distances.values())
    for rank in range(4):
        for i in range(200):
            assert math.isclose(heatmap["values"][rank * 200 + i], distances[100 + i, rank] / scale, rel_tol=1e-5, abs_tol=1e-6)


def test_export_is_the_history_column_by_column(long_run):
    daemon, path = long_run
    done = muster(daemon, "export", "run")
    assert done.returncode == 0, done.stderr
    lines = [line.split(",") for line in done.stdout.splitlines()]
    names, rows = lines[0], lines[1:]
    columns = {
        "attempt": "attempt", "step": "step", "unix_nanos": "wall_ns", "ranks_expected": "ranks_expected",
        "ranks_reporting": "ranks_reporting", "loss_mean": "loss_mean", "loss_stddev": "loss_stddev",
        "gradient_norm_mean": "gradient_norm_mean", "gradient_norm_stddev": "gradient_norm_stddev",
        "gradient_cosine_mean": "cosine_mean", "gradient_cosine_min": "cosine_min",
        "gradient_cosine_expected": "cosine_expected", "gradient_noise_scale": "noise_scale",
    }  # fmt: skip
    expected = stored(path, f"SELECT {', '.join(columns.values())} FROM frame ORDER BY position")
    assert len(rows) == len(expected) == STEPS
    places = [names.index(name) for name in columns]
    for row, wanted in zip(rows, expected):
        for place, value in zip(places, wanted):
            cell = row[place]
            assert (None if cell == "" else type(value)(cell)) == value, names[place]


def test_export_of_ranks_is_the_history_value_by_value(long_run):
    daemon, path = long_run
    done = muster(daemon, "export", "run", "--what=ranks", "--format=jsonl", "--from=1000", "--to=1099")
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.splitlines():
        row = json.loads(line)
        for metric in ("loss", "gradient_norm", "gradient_cosine", "weight"):
            if row[metric] is not None:
                found[row["step"], row["rank"], metric] = row[metric]
    rows = stored(path, "SELECT step, rank, metric, value FROM rank_value WHERE step BETWEEN 1000 AND 1099 AND metric <> 'step_seconds'")
    expected = {(step, rank, metric): value for step, rank, metric, value in rows if value is not None}
    assert found == expected
    assert len(found) >= 100 * 4 * 3


def test_export_writes_files_and_ends_quietly_with_its_reader(long_run, tmp_path):
    daemon, _ = long_run
    whole = muster(daemon, "export", "run", "-o", str(tmp_path / "run.csv"))
    assert (whole.returncode, whole.stdout) == (0, "")
    assert len((tmp_path / "run.csv").read_text().splitlines()) == STEPS + 1
    nowhere = muster(daemon, "export", "run", "-o", str(tmp_path / "no" / "run.csv"))
    assert nowhere.returncode == 1
    assert "no/run.csv: No such file" in nowhere.stderr
    unknown = muster(daemon, "export", "other")
    assert unknown.returncode == 2 and "no run 'other'" in unknown.stderr
    command = [BUILD / "cli" / "muster", "--address", daemon.grpc, "export", "run", "--what=ranks"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"attempt,step,")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 1


def test_charts_go_on_after_a_restart_of_the_daemon(tmp_path):
    (tmp_path / "data").mkdir()
    first = Musterd(tmp_path, f"--data-dir={tmp_path / 'data'}")
    assert muster(first, "simulate", "run", "--steps=50", "--ranks=2", "--sketch-width=64").returncode == 0
    before = first.get("/api/v1/runs/run/series")
    first.stop()
    (tmp_path / "ports.json").unlink()
    second = Musterd(tmp_path, f"--data-dir={tmp_path / 'data'}")
    try:
        runs = second.get("/api/v1/runs")["runs"]
        if runs:  # an ended run need not come back
            assert second.get("/api/v1/runs/run/series") == before
    finally:
        second.stop()


def test_page_is_compressed_and_says_what_it_may_do(musterd):
    if BUILD.name != "release" or not (ROOT / "web/package-lock.json").exists():
        pytest.skip("only the release build has the page")
    status, headers, packed = get(musterd, "/", Accept_Encoding="gzip, br")
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Vary"] == "Accept-Encoding" and headers["Cache-Control"] == "no-cache"
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    assert len(packed) <= 150_000
    html = gzip.decompress(packed)
    _, plain_headers, plain = get(musterd, "/", Accept_Encoding="identity")
    assert plain == html and plain_headers["Content-Encoding"] is None
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy.pop("default-src") == "'none'"
    for name in ("script", "style"):
        found = re.findall(rf"<{name}(?:\s[^>]*)?>(.*?)</{name}>".encode(), html, re.DOTALL)
        digests = {f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'" for text in found}
        assert found and set(policy.pop(f"{name}-src").split()) == digests
    assert policy == {
        "connect-src": "'self'", "img-src": "'self' data:", "base-uri": "'none'",
        "form-action": "'none'", "frame-ancestors": "'none'",
    }  # fmt: skip
    with pytest.raises(urllib.error.HTTPError) as unchanged:
        get(musterd, "/", Accept_Encoding="gzip", If_None_Match=headers["ETag"])
    assert unchanged.value.code == 304 and unchanged.value.headers["Content-Security-Policy"]


def test_numbers_are_never_kept_and_compressed_by_gzip_alone(musterd):
    assert muster(musterd, "simulate", "run", "--steps=300", "--ranks=2", "--sketch-width=64").returncode == 0
    _, headers, body = get(musterd, "/api/v1/runs/run/series", Accept_Encoding="gzip, deflate, br")
    assert (headers["Cache-Control"], headers["Content-Encoding"]) == ("no-store", "gzip")
    assert json.loads(gzip.decompress(body))["run"] == "run"
    _, headers, body = get(musterd, "/api/v1/runs/run/series", Accept_Encoding="br")
    assert headers["Content-Encoding"] is None
    assert json.loads(body)["run"] == "run"


def embed(*arguments):
    return subprocess.run([sys.executable, ROOT / "cmake/embed_page.py", *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_page_that_cannot_be_built_names_the_way_out(tmp_path):
    web = tmp_path / "web"
    web.mkdir()
    (web / "package.json").write_text("{}")
    (web / "package-lock.json").write_text('{"packages": {"": {"dependencies": {"uplot": "1.0.0"}}, "node_modules/uplot": {"version": "1.0.0"}}}')
    done = embed("--npm", "/bin/false", "--work", str(tmp_path / "work"), str(web), str(tmp_path / "out.cc"))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "'npm ci' failed" in done.stderr and "-DMUSTER_WEB=OFF" in done.stderr
    assert not (tmp_path / "out.cc").exists()


def test_embedded_policy_has_the_hashes_of_script_and_style(tmp_path):
    html = tmp_path / "index.html"
    html.write_text("<style>a{}</style><script type=module>1 < 2;\n</script>")
    assert embed("--html", str(html), str(tmp_path / "out.cc")).returncode == 0
    out = (tmp_path / "out.cc").read_text()
    digest = base64.b64encode(hashlib.sha256(b"1 < 2;\n").digest()).decode()
    assert f"script-src 'sha256-{digest}'; style-src 'sha256-" in out
    packed = bytes(int(number) for number in re.search(r"kGzip\[\] = \{(.*?)\}", out, re.DOTALL)[1].split(","))
    assert gzip.decompress(packed) == html.read_bytes()
