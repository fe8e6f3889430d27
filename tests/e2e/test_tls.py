"""Who may report and read: TLS, certificates, tokens and rules on the real daemon."""

import base64
import json
import os
import shutil
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

import grpc
import pytest
from authority import Authority
from conftest import BUILD, Musterd, wait_for

import muster

NODE_TOKEN = "node-node-node-node-1"
VIEWER_TOKEN = "view-view-view-view-2"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    authority = Authority(folder)
    authority.vouch("daemon", "DNS:localhost,IP:127.0.0.1")
    authority.vouch("elsewhere", "DNS:elsewhere.example")
    authority.vouch("node", "DNS:node-1.ranks.example,URI:spiffe://example/node-1")
    authority.vouch("gone", "DNS:node-1.ranks.example", days=-1)
    Authority(folder, "stranger").vouch("strange", "DNS:node-1.ranks.example")
    return folder


@pytest.fixture
def serve(tmp_path):
    """Starts a daemon with the YAML given."""
    started = []

    def start(yaml, **named):
        folder = tmp_path / f"daemon{len(started)}"
        folder.mkdir()
        (folder / "config.yaml").write_text(yaml)
        started.append(Musterd(folder, f"--config={folder / 'config.yaml'}", **named))
        return started[-1]

    yield start
    for daemon in started:
        daemon.stop()


def tls_yaml(pki, name="daemon", mutual=False, extra=""):
    ca = f"\n  client_ca_file: {pki / 'ca.pem'}" if mutual else ""
    return f"tls:\n  cert_file: {pki / name}.pem\n  key_file: {pki / name}.key{ca}\n{extra}"


def tokens_yaml(folder, *lines):
    path = folder / "tokens"
    path.write_text("\n".join(lines or (f"node: {NODE_TOKEN}", f"viewer: {VIEWER_TOKEN}")) + "\n")
    return f"auth:\n  tokens_file: {path}\n"


def token_file(folder, token):
    path = folder / f"token-{token}"
    path.write_text(token + "\n")
    return str(path)


def report(address, run="run", steps=3, rank=0, world_size=1, **named):
    """Counts of a monitor that made some reports."""
    monitor = muster.start(address, run, rank, world_size, flush_timeout=0.1, **named)
    for step in range(steps):
        monitor.end_step(step, loss=1.0)
    try:
        wait_for(lambda: monitor.stats().acknowledged == steps, "acknowledgements", timeout=3)
    except TimeoutError:
        pass  # refused: what the caller looks at
    stats = monitor.stats()
    monitor.close()
    return stats


def metric(daemon, start, **named):
    """Values of all samples that begin with `start`, added up."""
    text = fetch(daemon, "/metrics", **named)[1]
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(start))


def fetch(daemon, path, ca=None, certificate=None, token=None, user=None):
    """Status and body of an answer over HTTP."""
    request = urllib.request.Request(f"{'https' if ca else 'http'}://{daemon.http}{path}")
    if user:
        pair = base64.b64encode(f"{user}:{token}".encode()).decode()
        request.add_header("Authorization", f"Basic {pair}")
    elif token:
        request.add_header("Authorization", f"Bearer {token}")
    context = ssl.create_default_context(cafile=str(ca)) if ca else None
    if certificate:
        context.load_cert_chain(f"{certificate}.pem", f"{certificate}.key")
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def command(daemon, *arguments, tls=True):
    return subprocess.run(
        [BUILD / "cli" / "muster", *arguments],
        env={"MUSTER_ADDRESS": ("tls://" if tls else "") + daemon.grpc},
        capture_output=True,
        text=True,
        timeout=30,
    )


# Who may report, by what the daemon wants and what the client shows.


@pytest.mark.parametrize("mutual", [False, True])
@pytest.mark.parametrize(
    "shown, alone, with_certificate",
    [
        # What is shown: taken by a daemon with a certificate, by one that asks for one.
        ({"ca_file": "ca.pem"}, True, False),
        ({"ca_file": "ca.pem", "cert_file": "node.pem", "key_file": "node.key"}, True, True),
        ({"ca_file": "ca.pem", "cert_file": "gone.pem", "key_file": "gone.key"}, True, False),
        ({"ca_file": "ca.pem", "cert_file": "strange.pem", "key_file": "strange.key"}, True, False),
        ({"ca_file": "stranger.pem", "cert_file": "node.pem", "key_file": "node.key"}, False, False),
    ],
    ids=["nothing", "right", "expired", "unknown authority", "does not trust the daemon"],
)
def test_certificates(serve, pki, mutual, shown, alone, with_certificate):
    daemon = serve(tls_yaml(pki, mutual=mutual))
    files = {name: str(pki / file) for name, file in shown.items()}
    stats = report("tls://" + daemon.grpc, **files)
    expected = with_certificate if mutual else alone
    assert stats.acknowledged == (3 if expected else 0)


def test_a_client_in_the_clear_gets_nowhere(serve, pki):
    daemon = serve(tls_yaml(pki))
    assert report(daemon.grpc).acknowledged == 0


def test_a_daemon_with_another_name_is_not_believed(serve, pki, capfd):
    daemon = serve(tls_yaml(pki, "elsewhere"))
    assert report("tls://" + daemon.grpc, ca_file=str(pki / "ca.pem")).acknowledged == 0
    assert "IP address mismatch" in capfd.readouterr().err


@pytest.mark.parametrize("files, reason", [
    (("gone.pem", "gone.key"), "gone.pem': expired at 20"),
    (("node.pem", "daemon.key"), "daemon.key': does not match the certificate in"),
    (("daemon.key", "daemon.key"), "daemon.key': not a certificate in PEM form"),
    (("none.pem", "daemon.key"), "none.pem': cannot be read: No such file"),
])
def test_does_not_start_with_what_is_not_good(pki, tmp_path, files, reason):
    config = tmp_path / "config.yaml"
    config.write_text(f"tls: {{cert_file: {pki / files[0]}, key_file: {pki / files[1]}}}\n")
    ended = subprocess.run(
        [
            BUILD / "daemon" / "musterd",
            *("--grpc-address=127.0.0.1:0", "--http-address=127.0.0.1:0"),
            f"--config={config}",
        ],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert ended.returncode == 1
    assert reason in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("tls", [False, True])
def test_tokens(serve, pki, tmp_path, tls, capfd):
    yaml = tokens_yaml(tmp_path)
    daemon = serve(tls_yaml(pki, extra=yaml) if tls else yaml)
    address = ("tls://" if tls else "") + daemon.grpc
    ca = {"ca_file": str(pki / "ca.pem")} if tls else {}
    right = token_file(tmp_path, NODE_TOKEN)
    wrong = token_file(tmp_path, "wrong-wrong-wrong-wrong")
    assert report(address, token_file=right, **ca).acknowledged == 3
    assert report(address, token_file=wrong, **ca).acknowledged == 0
    assert report(address, **ca).acknowledged == 0
    assert "not authenticated" in capfd.readouterr().err
    http = {"ca": pki / "ca.pem"} if tls else {}
    denied = 'muster_denied_total{verb="report",reason="unauthenticated"}'
    assert 2 <= metric(daemon, denied, token=VIEWER_TOKEN, **http) <= 20
    log = daemon.log.read_text()
    assert "denied: report, unauthenticated: a token that is not known, from ipv4:127.0.0.1" in log
    for secret in (NODE_TOKEN, VIEWER_TOKEN, "wrong-wrong"):
        assert secret not in log


def test_a_token_does_not_travel_in_the_clear(tmp_path):
    path = token_file(tmp_path, NODE_TOKEN)
    with pytest.raises(ValueError, match="not sent in the clear to 192.0.2.1:7600; write tls://"):
        muster.start("192.0.2.1:7600", "run", 0, 1, token_file=path)
    ended = subprocess.run(
        [BUILD / "cli" / "muster", "--address=192.0.2.1:7600", f"--token-file={path}", "runs"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert ended.returncode == 2
    assert "only over TLS: write tls://192.0.2.1:7600" in ended.stderr


def test_secrets_are_in_no_printed_configuration(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(tokens_yaml(tmp_path))
    ended = subprocess.run(
        [BUILD / "daemon" / "musterd", f"--config={config}", "--print-config"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert str(tmp_path / "tokens") in ended.stdout
    assert NODE_TOKEN not in ended.stdout + ended.stderr


# Rules.

TOKEN_RULES = """
  rules:
  - {identity: "token:node", runs: ["a-*", shared], verbs: report}
  - {identity: "token:viewer", runs: "a-*", verbs: [query, metrics]}
"""
RULES = TOKEN_RULES + """\
  - {identity: "certificate:*.ranks.example", runs: "b-*", verbs: [report, query]}
"""
RUNS = ("a-1", "b-1", "shared")


def test_each_cell_of_the_table(serve, pki, tmp_path):
    yaml = tokens_yaml(tmp_path) + RULES
    optional = "  require_client_certificate: false\n"
    daemon = serve(tls_yaml(pki, mutual=True, extra=optional + yaml))
    ca = str(pki / "ca.pem")
    shown = {
        "node": {"token_file": token_file(tmp_path, NODE_TOKEN)},
        "viewer": {"token_file": token_file(tmp_path, VIEWER_TOKEN)},
        "certificate": {"cert_file": str(pki / "node.pem"), "key_file": str(pki / "node.key")},
        "nobody": {},
    }
    allowed = {
        ("node", "report"): {"a-1", "shared"},
        ("viewer", "query"): {"a-1"},
        ("viewer", "metrics"): {"a-1"},
        ("certificate", "report"): {"b-1"},
        ("certificate", "query"): {"b-1"},
    }
    for who, files in shown.items():
        for run in RUNS:
            stats = report("tls://" + daemon.grpc, run, ca_file=ca, **files)
            may = run in allowed.get((who, "report"), ())
            assert (stats.acknowledged == 3) == may, (who, run)
            assert may or stats.acknowledged == 0
    for who, files in shown.items():
        flags = [f"--{name.replace('_', '-')}={path}" for name, path in files.items()]
        asked = command(daemon, f"--ca-file={ca}", *flags, "--json", "runs")
        visible = allowed.get((who, "query"))
        if visible is None:
            assert asked.returncode == 2, asked
            assert "not a" in asked.stderr  # authenticated, or allowed
            continue
        assert {each["run"] for each in json.loads(asked.stdout)["runs"]} == visible
        for run in RUNS:
            one = command(daemon, f"--ca-file={ca}", *flags, "ranks", run)
            assert (one.returncode == 0) == (run in visible), one
    http = {
        "node": {"token": NODE_TOKEN},
        "viewer": {"token": VIEWER_TOKEN},
        "certificate": {"certificate": pki / "node"},
        "nobody": {},
    }
    for who, what in http.items():
        refused = 401 if who == "nobody" else 403
        assert fetch(daemon, "/healthz", ca=ca, **what)[0] == 200
        visible = allowed.get((who, "query"))
        status, body = fetch(daemon, "/api/v1/runs", ca=ca, **what)
        assert status == (200 if visible else refused), who
        assert fetch(daemon, "/", ca=ca, **what)[0] == status
        if visible:
            assert {each["run"] for each in json.loads(body)["runs"]} == visible
            for run in RUNS:
                status = fetch(daemon, f"/api/v1/runs/{run}/ranks", ca=ca, **what)[0]
                assert status == (200 if run in visible else 404)
        visible = allowed.get((who, "metrics"))
        status, body = fetch(daemon, "/metrics", ca=ca, **what)
        assert status == (200 if visible else refused), who
        for run in RUNS if visible else ():
            assert (f'run="{run}"' in body) == (run in visible)
    # A browser's way.
    assert fetch(daemon, "/", ca=ca, user="viewer", token=VIEWER_TOKEN)[0] == 200
    assert fetch(daemon, "/", ca=ca, user="node", token=VIEWER_TOKEN)[0] == 401


def test_a_refused_rank_does_not_ask_in_a_tight_loop(serve, tmp_path):
    daemon = serve(tokens_yaml(tmp_path) + TOKEN_RULES)
    monitor = muster.start(
        daemon.grpc, "other", 0, 1, token_file=token_file(tmp_path, NODE_TOKEN), flush_timeout=0.1
    )
    denied = 'muster_denied_total{verb="report",reason="not_allowed"}'
    wait_for(lambda: metric(daemon, denied, token=VIEWER_TOKEN), "the refusal")
    for step in range(20):
        monitor.end_step(step, loss=1.0)
        time.sleep(0.1)
    assert metric(daemon, denied, token=VIEWER_TOKEN) == 1
    rejected = 'muster_reports_rejected_total{reason="not_allowed"}'
    assert metric(daemon, rejected, token=VIEWER_TOKEN) == 1
    assert monitor.stats().acknowledged == 0
    monitor.close()


def test_a_rank_belongs_to_who_reports_for_it(serve, tmp_path):
    tokens = tokens_yaml(
        tmp_path, f"node: {NODE_TOKEN}", f"thief: {VIEWER_TOKEN}", "reader: read-read-read-read"
    )
    daemon = serve(tokens)
    mine = {"token_file": token_file(tmp_path, NODE_TOKEN)}
    other = {"token_file": token_file(tmp_path, VIEWER_TOKEN)}
    owner = muster.start(daemon.grpc, "run", 0, 2, **mine)
    owner.end_step(0, loss=1.0)
    wait_for(lambda: owner.stats().acknowledged == 1, "the owner's report")
    # Rank 1 is nobody's: the rest goes on.
    assert report(daemon.grpc, rank=0, world_size=2, **other).acknowledged == 0
    assert report(daemon.grpc, rank=1, world_size=2, **other).acknowledged == 3
    owner.end_step(1, loss=1.0)
    wait_for(lambda: owner.stats().acknowledged == 2, "the owner to go on")
    assert not owner.stats().superseded
    taken = 'muster_denied_total{verb="report",reason="rank_taken"}'
    assert metric(daemon, taken, token=NODE_TOKEN) >= 1

    def alerts():
        _, body = fetch(daemon, "/api/v1/alerts", token=NODE_TOKEN)
        return [a for a in json.loads(body)["alerts"] if a["kind"] == "FactMismatch"]

    (alert,) = wait_for(alerts, "the alert")
    assert alert["ranks"] == [0]
    assert "Two live processes claim rank 0" in alert["evidence"]
    owner.close()
    # With its source the claim ends.
    wait_for(
        lambda: report(daemon.grpc, rank=0, world_size=2, **other).acknowledged == 3,
        "the rank to be free",
    )


# While it runs.


class Load:
    """Ranks that report all the time, each with a monitor of its own."""

    def __init__(self, address, run, ranks=4, **named):
        self._monitors = [
            muster.start(address, run, rank, ranks, flush_timeout=10, ring_capacity=4096, **named)
            for rank in range(ranks)
        ]
        self._stop = threading.Event()
        self.steps = 0
        self._thread = threading.Thread(target=self._train)
        self._thread.start()

    def _train(self):
        while not self._stop.is_set():
            for monitor in self._monitors:
                monitor.end_step(self.steps, loss=1.0)
            self.steps += 1
            time.sleep(0.01)

    def finish(self):
        self._stop.set()
        self._thread.join()
        wait_for(lambda: all(m.stats().queued == 0 for m in self._monitors), "acknowledgements")
        stats = [monitor.stats() for monitor in self._monitors]
        for monitor in self._monitors:
            monitor.close()
        return stats


def serial_served(daemon, address):
    """Serial number of the certificate that a new connection is shown."""
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", address, "-alpn", "h2"],
        input=b"",
        capture_output=True,
        timeout=20,
    ).stdout
    return subprocess.run(
        ["openssl", "x509", "-noout", "-serial"], input=shown, capture_output=True, timeout=20
    ).stdout


def test_certificate_and_token_change_under_load(serve, pki, tmp_path):
    live = tmp_path / "live"
    live.mkdir()
    for kind in ("pem", "key"):
        shutil.copy(pki / f"daemon.{kind}", live / f"daemon.{kind}")
    tokens = tmp_path / "tokens"
    new_token = "new!-new!-new!-new!-3"
    daemon = serve(tls_yaml(live, extra=tokens_yaml(tmp_path)))
    ca = pki / "ca.pem"
    mine = tmp_path / "mine"
    mine.write_text(NODE_TOKEN)
    load = Load("tls://" + daemon.grpc, "run", ca_file=str(ca), token_file=str(mine))

    wait_for(lambda: load.steps > 50, "some steps")
    first = serial_served(daemon, daemon.grpc)
    # A pair that does not match is not taken.
    certificate, key = Authority(tmp_path / "new", "new").vouch("daemon", "DNS:localhost")
    shutil.copy(certificate, live / "daemon.pem")
    wait_for(lambda: "does not match the certificate" in daemon.log.read_text(), "the complaint")
    assert serial_served(daemon, daemon.grpc) == first
    assert metric(daemon, "muster_identity_files_stale", ca=ca, token=VIEWER_TOKEN) == 1
    # Then one that does, of the authority that the ranks trust.
    Authority(pki).vouch("next", "DNS:localhost,IP:127.0.0.1")
    shutil.copy(pki / "next.key", live / "daemon.key")
    shutil.copy(pki / "next.pem", live / "daemon.pem")
    wait_for(lambda: serial_served(daemon, daemon.grpc) != first, "the new certificate")
    wait_for(lambda: serial_served(daemon, daemon.http) != first, "the new certificate on HTTP")
    # Both tokens for a while, then the new one alone: streams go on or come back.
    tokens.write_text(f"node: {NODE_TOKEN}\nnode: {new_token}\nviewer: {VIEWER_TOKEN}\n")
    wait_for(lambda: "auth: tokens re-read" in daemon.log.read_text(), "the new token")
    mine.write_text(new_token)
    tokens.write_text(f"node: {new_token}\nviewer: {VIEWER_TOKEN}\n")
    wait_for(lambda: daemon.log.read_text().count("tokens re-read") == 2, "the old one's end")
    seen = load.steps
    wait_for(lambda: load.steps > seen + 100, "more steps")
    for stats in load.finish():
        assert stats.made == load.steps
        assert stats.acknowledged == stats.made
        assert stats.dropped == 0
    body = fetch(daemon, "/metrics", ca=ca, token=VIEWER_TOKEN)[1]
    complete = [
        line for line in body.splitlines()
        if line.startswith('muster_frames_total{run="run",state="complete"}')
    ]
    assert [float(line.split()[-1]) for line in complete] == [load.steps]


# Counterparts that are none of ours.


@pytest.mark.parametrize("version, good", [
    ("-tls1", False), ("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True),
])
@pytest.mark.parametrize("listener", ["grpc", "http"])
def test_openssl_gets_in_from_tls_1_2_on(serve, pki, version, good, listener):
    daemon = serve(tls_yaml(pki))
    ended = subprocess.run(
        [
            *("openssl", "s_client", "-connect", getattr(daemon, listener), version),
            *("-cipher", "DEFAULT@SECLEVEL=0", "-alpn", "h2" if listener == "grpc" else "http/1.1"),
            *("-CAfile", pki / "ca.pem", "-verify_return_error", "-verify_ip", "127.0.0.1"),
        ],
        input=b"",
        capture_output=True,
        timeout=20,
    )
    output = (ended.stdout + ended.stderr).decode(errors="replace")
    assert ("New, TLSv1" in output) == good, output
    assert "Verification: OK" in output or not good, output


def test_grpcio_as_a_client(serve, pki, tmp_path):
    daemon = serve(tls_yaml(pki, mutual=True, extra=tokens_yaml(tmp_path)))

    def ask(certificate=None, token=None, ca="ca.pem"):
        def read(name):
            return (pki / name).read_bytes()

        credentials = grpc.ssl_channel_credentials(
            read(ca),
            read(f"{certificate}.key") if certificate else None,
            read(f"{certificate}.pem") if certificate else None,
        )
        with grpc.secure_channel(daemon.grpc, credentials) as channel:
            call = channel.unary_unary("/muster.v1.Query/ListRuns")
            metadata = [("authorization", f"Bearer {token}")] if token else []
            try:
                call(b"", timeout=5, metadata=metadata)
                return grpc.StatusCode.OK
            except grpc.RpcError as error:
                return error.code()

    assert ask("node") == grpc.StatusCode.OK
    assert ask("node", NODE_TOKEN) == grpc.StatusCode.OK
    assert ask("node", "wrong-wrong-wrong-wrong") == grpc.StatusCode.UNAUTHENTICATED
    assert ask() == grpc.StatusCode.UNAVAILABLE
    assert ask("strange") == grpc.StatusCode.UNAVAILABLE
    assert ask("gone") == grpc.StatusCode.UNAVAILABLE
    assert ask("node", ca="stranger.pem") == grpc.StatusCode.UNAVAILABLE


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces are root's")
@pytest.mark.parametrize("tls, warning, insecure", [
    (False, "without encryption or authentication", 1),
    (True, "without authentication", 0),
])
def test_a_listener_without_tls_is_told(pki, tmp_path, tls, warning, insecure):
    config = tmp_path / "config.yaml"
    config.write_text(tls_yaml(pki, extra="") + "  http: false\n" if tls else "")
    # Bound to all addresses of a namespace that has none but its loopback.
    flags = f"--config={config} --grpc-address=0.0.0.0:7600 --http-address=127.0.0.1:7601"
    log = tmp_path / "log"
    with open(log, "wb") as output:
        daemon = subprocess.Popen(
            ["unshare", "--net", "sh", "-c",
             f"ip link set lo up; exec {BUILD / 'daemon' / 'musterd'} {flags}"],
            stdout=output, stderr=output,
        )
    try:
        wait_for(lambda: "reachable from other machines" in log.read_text(), "the warning")
        metrics = subprocess.run(
            ["nsenter", "-t", str(daemon.pid), "--net", "python3", "-c",
             "import urllib.request as r; print(r.urlopen('http://127.0.0.1:7601/metrics')"
             ".read().decode())"],
            capture_output=True, text=True, timeout=20, check=True,
        ).stdout
    finally:
        daemon.terminate()
        daemon.wait(10)
    assert log.read_text().count(f"0.0.0.0:7600 is reachable from other machines, {warning}") == 1
    assert f'muster_insecure_listener{{listener="grpc"}} {insecure}\n' in metrics
    assert 'muster_insecure_listener{listener="http"} 0\n' in metrics
