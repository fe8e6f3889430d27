"""Ranks report through a relay: nothing is lost, whoever is killed."""

import stat
import subprocess
from concurrent import futures

import grpc
import muster
import pytest
from conftest import BUILD, wait_for
from history import Background, Load
from processes import free_address
from relays import start_central, start_relay, wait_for_frames, wait_until_settled

RANKS = 4


@pytest.fixture
def nodes():
    """Stops what was added to it."""
    started = []
    yield started
    for node in reversed(started):
        node.go_on()
        node.stop()


def add(nodes, node):
    nodes.append(node)
    return node


def test_reports_pass_and_alerts_come_back(tmp_path, nodes):
    central = add(nodes, start_central(tmp_path / "central"))
    relay = add(nodes, start_relay(tmp_path / "relay", central.address))
    load = Load(relay.address, ranks=RANKS, broken=range(20, 30))
    load.run(50)
    wait_until_settled(load)
    wait_for_frames(central, 50, RANKS)
    wait_for(lambda: [a.kind for a in load.monitors[2].alerts()] == ["NonFinite"], "the alert to come back")
    # One stream carries all ranks.
    assert relay.metric("muster_relay_sources") == RANKS
    assert relay.state() == "up"
    assert relay.metric("muster_relay_reports_received_total") == 50 * RANKS
    assert relay.metric("muster_relay_reports_forwarded_total") == 50 * RANKS
    assert relay.dropped() == {}
    load.close()
    wait_for(lambda: central.metric('muster_runs{state="ended"}') == 1, "the Goodbyes to arrive")
    wait_for(lambda: relay.state() == "idle", "the relay to be idle")
    assert relay.stop() == 0


def test_a_rank_that_dies_is_reported_as_gone(tmp_path, nodes, script):
    central = add(nodes, start_central(tmp_path / "central"))
    relay = add(nodes, start_relay(tmp_path / "relay", central.address))
    alive = muster.start(relay.address, "run", 0, 2, sketch_width=64)
    dying = script(
        "monitor = muster.start(sketch_width=64)\ntrain(monitor, 0, 3)\ntime.sleep(60)\n",
        address=relay.address,
        rank=1,
        world_size=2,
    )
    wait_for(lambda: relay.metric("muster_relay_reports_forwarded_total") == 3, "its reports to arrive")
    connected = 'muster_ranks_connected{run="run"}'
    wait_for(lambda: central.metric(connected) == 2, "both to be connected")
    dying.kill()
    wait_for(lambda: central.metric(connected) == 1, "the central daemon to know that it is gone")
    assert central.metric('muster_run_ended{run="run"}') == 0
    alive.close()


def test_refusals_of_upstream_reach_their_rank(tmp_path, nodes):
    central = add(nodes, start_central(tmp_path / "central", config="limits:\n  max_world_size: 8\n"))
    relay = add(nodes, start_relay(tmp_path / "relay", central.address))
    large = muster.start(relay.address, "large", 0, 9)
    good = muster.start(relay.address, "good", 0, 1)
    large.end_step(0, loss=1.0)
    good.end_step(0, loss=1.0)
    refused = 'muster_relay_reports_refused_total{reason="invalid_world_size"}'
    wait_for(lambda: relay.metrics().get(refused) == 1, "upstream's refusal")
    wait_for(lambda: relay.metric("muster_relay_sources") == 1, "the rank to fall silent")
    assert not large.stats().connected
    wait_for(lambda: good.stats().acknowledged == 1, "the other to go on")


def test_a_newer_process_supersedes_through_the_relay(tmp_path, nodes):
    central = add(nodes, start_central(tmp_path / "central"))
    relay = add(nodes, start_relay(tmp_path / "relay", central.address))
    older = muster.start(relay.address, "run", 0, 1)
    older.end_step(0, loss=1.0)
    wait_for(lambda: older.stats().acknowledged == 1, "the first report")
    newer = muster.start(relay.address, "run", 0, 1)
    newer.end_step(1, loss=1.0)
    wait_for(lambda: newer.stats().acknowledged == 1, "the newer one's report")
    wait_for(lambda: older.stats().superseded, "the older one to know")


def test_central_killed_in_the_run(tmp_path, nodes):
    """With history: each step is judged exactly once."""
    central = add(nodes, start_central(tmp_path / "central", history=True))
    relay = add(nodes, start_relay(tmp_path / "relay", central.address, spool=True))
    load = Load(relay.address, ranks=RANKS)
    background = Background(load, 100)
    for _ in range(3):
        wait_for(lambda: min(s.acknowledged for s in load.stats()) > 30, "some reports")
        central.kill()
        before = load.step
        wait_for(lambda: load.step > before + 50, "steps without the daemon")
        central.start()
        wait_for(lambda: relay.state() == "up", "the relay to be back")
        before = load.step
        wait_for(lambda: load.step > before + 50, "steps with it")
    background.stop()
    wait_until_settled(load)
    wait_for_frames(central, load.step, RANKS)
    assert relay.dropped() == {}
    load.close()


def test_relay_killed_in_the_run(tmp_path, nodes):
    central = add(nodes, start_central(tmp_path / "central"))
    relay = add(nodes, start_relay(tmp_path / "relay", central.address, spool=True))
    load = Load(relay.address, ranks=RANKS)
    background = Background(load, 100)
    for _ in range(3):
        before = load.step
        wait_for(lambda: load.step > before + 50, "some steps")
        relay.kill()
        before = load.step
        wait_for(lambda: load.step > before + 30, "steps without the relay")
        relay.start()  # replaces the socket that was left
    background.stop()
    wait_until_settled(load)
    wait_for_frames(central, load.step, RANKS)
    load.close()


def test_chain_of_two(tmp_path, nodes):
    central = add(nodes, start_central(tmp_path / "central"))
    outer = add(nodes, start_relay(tmp_path / "outer", central.address, grpc=free_address()))
    inner = add(nodes, start_relay(tmp_path / "inner", outer.address))
    load = Load(inner.address, ranks=RANKS, broken=range(20, 30))
    load.run(50)
    wait_until_settled(load)
    wait_for_frames(central, 50, RANKS)
    wait_for(lambda: [a.kind for a in load.monitors[0].alerts()] == ["NonFinite"], "the alert to come back")
    load.close()
    wait_for(lambda: central.metric('muster_runs{state="ended"}') == 1, "the Goodbyes to arrive")


def test_a_relay_that_is_its_own_upstream(tmp_path, nodes):
    address = free_address()
    relay = add(nodes, start_relay(tmp_path / "relay", address, grpc=address))
    monitor = muster.start(address, "run", 0, 1)
    monitor.end_step(0, loss=1.0)
    wait_for(lambda: relay.state() == "loop", "the loop to be noticed")
    status, text = relay.text("/readyz")
    assert status == 200 and "loop" in text and address in text
    assert relay.metric("muster_relay_upstream_up") == 0
    assert relay.metric("muster_relay_reports_received_total") == 1


def test_two_relays_in_a_circle(tmp_path, nodes):
    first, second = free_address(), free_address()
    one = add(nodes, start_relay(tmp_path / "one", second, grpc=first))
    other = add(nodes, start_relay(tmp_path / "other", first, grpc=second))
    monitor = muster.start(first, "run", 0, 1)
    for step in range(10):
        monitor.end_step(step, loss=1.0)
    wait_for(lambda: other.state() == "loop", "the loop to be noticed")
    # The report has not gone round.
    assert one.metric("muster_relay_reports_received_total") == 10
    assert other.metric("muster_relay_reports_received_total") <= 10
    assert "relay loop" in other.text("/readyz")[1]


METHOD = "/muster.v1.Telemetry/Stream"


class NewerDaemon(grpc.GenericRpcHandler):
    """Speaks version 2 of the protocol, whatever that is."""

    def service(self, details):
        return grpc.stream_stream_rpc_method_handler(self._stream)

    def _stream(self, messages, context):
        context.send_initial_metadata([("muster-protocol", "2")])
        for _ in messages:
            pass
        return iter(())


def test_upstream_of_another_major_version(tmp_path, nodes):
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([NewerDaemon()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        relay = add(nodes, start_relay(tmp_path / "relay", f"127.0.0.1:{port}"))
        monitor = muster.start(relay.address, "run", 0, 1)
        monitor.end_step(0, loss=1.0)
        wait_for(lambda: relay.state() == "incompatible", "the relay to notice")
        status, text = relay.text("/readyz")
        assert status == 200
        assert "upstream speaks version 2 of the protocol, this relay version 1" in text
        assert relay.metric("muster_relay_memory_reports") == 1
        monitor.close()
    finally:
        server.stop(0)


@pytest.mark.parametrize("metadata, allowed", [((), True), ((("muster-protocol", "1"),), True), ((("muster-protocol", "2"),), False)])
def test_a_daemon_takes_its_own_major_version(musterd, metadata, allowed):
    with grpc.insecure_channel(musterd.grpc) as channel:
        call = channel.stream_stream(METHOD)(iter(()), metadata=metadata, timeout=10)
        assert dict(call.initial_metadata())["muster-protocol"] == "1"
        if allowed:
            assert list(call) == []
        else:
            with pytest.raises(grpc.RpcError) as refused:
                list(call)
            assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
            assert "speaks version 1 of the protocol, not version 2" in refused.value.details()


def test_too_many_relays_in_a_row(tmp_path, nodes):
    relay = add(nodes, start_relay(tmp_path / "relay", free_address()))
    via = [("muster-via", f"{i:016x}") for i in range(8)]
    with grpc.insecure_channel(relay.address) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            list(channel.stream_stream(METHOD)(iter(()), metadata=via, timeout=10))
        assert "have passed 8 relays, the limit" in refused.value.details()
        assert list(channel.stream_stream(METHOD)(iter(()), metadata=via[1:], timeout=10)) == []


def test_ready_and_telling_while_upstream_is_away(tmp_path, nodes):
    nobody = free_address()
    relay = add(nodes, start_relay(tmp_path / "relay", nobody))
    assert relay.text("/readyz")[0] == 200
    assert "idle" in relay.text("/readyz")[1]
    monitor = muster.start(relay.address, "run", 0, 1)
    monitor.end_step(0, loss=1.0)
    wait_for(lambda: relay.state() == "away", "the relay to notice")
    status, text = relay.text("/readyz")
    assert status == 200 and text.startswith(f"ready; upstream {nobody}: away since ") and "last error: " in text
    assert nobody in relay.text("/")[1]
    assert relay.text("/api/v1/runs")[0] == 404
    assert relay.metric("muster_relay_upstream_failures_total") >= 1
    wait_for(lambda: relay.metric("muster_relay_oldest_report_age_seconds") > 0.2, "the report to grow old")


def test_socket_file(tmp_path, nodes):
    path = tmp_path / "relay.sock"
    relay = add(nodes, start_relay(tmp_path / "relay", free_address(), config="socket_mode: '0620'\n", grpc=f"unix:{path}"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o620

    def start_second(address):
        return subprocess.run(
            [BUILD / "daemon" / "musterd", f"--grpc-address={address}", "--http-address=127.0.0.1:0", "--upstream=127.0.0.1:1"],
            capture_output=True,
            text=True,
            timeout=20,
        )

    refused = start_second(f"unix:{path}")
    assert refused.returncode == 1
    assert f"unix:{path}: another process listens there" in refused.stderr
    other = tmp_path / "file"
    other.write_text("mine")
    refused = start_second(f"unix:{other}")
    assert refused.returncode == 1 and "a file that is no socket" in refused.stderr
    assert other.read_text() == "mine"
    relay.kill()
    assert path.exists()
    relay.start()
    monitor = muster.start(relay.address, "run", 0, 1)
    wait_for(lambda: relay.metric("muster_relay_sources") == 1, "a rank on the new socket")
    monitor.close()


def test_several_addresses(tmp_path, nodes):
    central = add(nodes, start_central(tmp_path / "central"))
    loopback = free_address()
    path = f"unix:{tmp_path}/relay.sock"
    relay = add(nodes, start_relay(tmp_path / "relay", central.address, grpc=f"{path},{loopback}"))
    monitors = [muster.start(a, "run", rank, 2) for rank, a in enumerate([path, loopback])]
    for monitor in monitors:
        monitor.end_step(0, loss=1.0)
    wait_for_frames(central, 1, 2)
