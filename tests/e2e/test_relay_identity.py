"""A relay shows upstream who it is: certificates and tokens between daemons."""

import shutil

import pytest
from authority import Authority
from conftest import wait_for
from history import Load
from relays import start_central, start_relay, wait_until_settled

import muster

RANKS = 2
TOKEN = "node-node-node-node-1"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    authority = Authority(folder)
    authority.vouch("daemon", "DNS:localhost,IP:127.0.0.1")
    authority.vouch("node", "DNS:node-1.ranks.example")
    stranger = Authority(folder, "stranger")
    stranger.vouch("strange", "DNS:node-1.ranks.example")
    return folder


@pytest.fixture
def nodes():
    """Stops what was added to it."""
    started = []
    yield started
    for node in reversed(started):
        node.stop()


def add(nodes, node):
    nodes.append(node)
    return node


def central_config(folder, pki, rule="certificate:node-1.ranks.example"):
    (folder / "tokens").write_text(f"node: {TOKEN}\n")
    return (
        f"tls: {{cert_file: {pki}/daemon.pem, key_file: {pki}/daemon.key, client_ca_file: {pki}/ca.pem, http: false}}\n"
        f"auth:\n  tokens_file: {folder}/tokens\n"
        f'  rules:\n    - {{identity: "{rule}", runs: "run*", verbs: report}}\n'
        '    - {identity: anyone, runs: "*", verbs: metrics}\n'
    )


def relay_config(folder, pki, name, authority="ca", token=TOKEN):
    for file in (f"{name}.pem", f"{name}.key"):
        shutil.copy(pki / file, folder / file.replace(name, "own"))
    (folder / "token").write_text(token + "\n")
    return (
        f"relay: {{ca_file: {pki}/{authority}.pem, cert_file: {folder}/own.pem, key_file: {folder}/own.key,"
        f" token_file: {folder}/token}}\n"
    )


@pytest.mark.parametrize("rule", ["certificate:node-1.ranks.example", "token:node"])
def test_ranks_are_admitted_by_their_relays_identity(tmp_path, nodes, pki, rule):
    central = add(nodes, start_central(tmp_path / "central", config=central_config(tmp_path, pki, rule)))
    # A caller with a good token is that token, whatever certificate it shows.
    token = TOKEN if rule.startswith("token") else ""
    config = relay_config(tmp_path, pki, "node", token=token)
    if not token:
        config = config.replace(f", token_file: {tmp_path}/token", "").replace(f" token_file: {tmp_path}/token", "")
    relay = add(nodes, start_relay(tmp_path / "relay", f"tls://{central.address}", config=config))
    load = Load(relay.address, ranks=RANKS)
    load.run(10)
    wait_until_settled(load)
    assert relay.metric("muster_relay_reports_forwarded_total") == 10 * RANKS
    assert relay.state() == "up"
    assert central.metric('muster_reports_received_total{run="run"}') == 10 * RANKS
    load.close()


def test_what_upstream_does_not_take_is_told(tmp_path, nodes, pki):
    central = add(nodes, start_central(tmp_path / "central", config=central_config(tmp_path, pki)))
    config = relay_config(tmp_path, pki, "strange").replace(f" token_file: {tmp_path}/token", "")
    relay = add(nodes, start_relay(tmp_path / "relay", f"tls://{central.address}", config=config))
    monitor = muster.start(relay.address, "run", 0, 1, sketch_width=64, flush_timeout=0.1)
    monitor.end_step(0, loss=1.0)
    wait_for(lambda: relay.state() == "away", "upstream to turn the stranger away")
    wait_for(lambda: "last error: " in relay.text("/readyz")[1], "the reason")
    assert relay.text("/readyz")[0] == 200
    assert monitor.stats().acknowledged == 0
    # Files are exchanged: the relay comes in, and nothing has been lost.
    shutil.copy(pki / "node.key", tmp_path / "own.key")
    shutil.copy(pki / "node.pem", tmp_path / "own.pem")
    wait_for(lambda: monitor.stats().acknowledged == 1, "the report to arrive", timeout=60)
    monitor.close()


@pytest.mark.parametrize("missing", ["ca_file", "cert_file"])
def test_a_file_that_is_not_there_is_named(tmp_path, pki, missing):
    config = relay_config(tmp_path, pki, "node").replace(f"{missing}: ", f"{missing}: {tmp_path}/no-such-file-")
    with pytest.raises(Exception):
        start_relay(tmp_path / "relay", "tls://127.0.0.1:7600", config=config)
    assert "no-such-file-" in (tmp_path / "relay" / "musterd.log").read_text()
