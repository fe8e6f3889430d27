"""What upstream cannot take waits in the relay's spool, and every report counts once."""

import time

import muster
from conftest import wait_for
from history import Load
from processes import free_address
from relays import frames, start_central, start_relay, wait_for_frames, wait_until_settled
from test_relay import RANKS, add, nodes  # noqa: F401: the fixture

SPOOLED = "muster_relay_spool_reports"


def run_without_central(tmp_path, nodes, steps, **named):
    """(central, relay, load): the relay has `steps` of each rank in its spool."""
    central = add(nodes, start_central(tmp_path / "central"))
    relay = add(nodes, start_relay(tmp_path / "relay", central.address, spool=True, **named))
    load = Load(relay.address, ranks=RANKS)
    load.run(10)
    wait_until_settled(load)
    central.kill()
    load.run(steps)
    wait_until_settled(load)  # the spool's word is enough
    wait_for(lambda: relay.metric(SPOOLED) == steps * RANKS, "all to be in the spool")
    return central, relay, load


def test_an_outage_is_caught_up_on(tmp_path, nodes):
    central, relay, load = run_without_central(tmp_path, nodes, 300)
    assert relay.text("/readyz")[0] == 200
    assert relay.metric("muster_relay_spool_bytes") > 300 * RANKS * 100
    central.start()  # without history: it knows nothing of the first ten
    wait_for(lambda: relay.metric(SPOOLED) == 0, "the spool to be empty")
    load.run(10)
    wait_until_settled(load)
    wait_for(lambda: len(frames(central)) == 310, "the frames")
    assert frames(central) == [(step, RANKS, RANKS) for step in range(10, 320)]
    assert relay.dropped() == {}
    load.close()


def test_relay_killed_with_reports_in_its_spool(tmp_path, nodes):
    """Their ranks are gone by then, too."""
    central, relay, load = run_without_central(tmp_path, nodes, 100)
    relay.kill()
    del load  # its reports are acknowledged: nobody sends them again
    central.start()
    relay.start()
    wait_for(lambda: relay.metric(SPOOLED) == 0, "the spool to be empty")
    wait_for(lambda: len(frames(central)) == 100, "the frames")
    assert frames(central) == [(step, RANKS, RANKS) for step in range(10, 110)]


def test_stopped_while_upstream_is_away(tmp_path, nodes):
    central = add(nodes, start_central(tmp_path / "central"))
    relay = add(nodes, start_relay(tmp_path / "relay", central.address, spool=True))
    central.kill()
    load = Load(relay.address, ranks=RANKS)
    load.run(100)
    load.close()
    assert relay.stop() == 0
    central.start()
    relay.start()
    wait_for_frames(central, 100, RANKS)
    wait_for(lambda: central.metric('muster_runs{state="ended"}') == 1, "the Goodbyes to arrive")


def test_stopped_after_its_ranks(tmp_path, nodes):
    """What a Job does: the ranks end, and the sidecar is told to."""
    central = add(nodes, start_central(tmp_path / "central"))
    relay = add(nodes, start_relay(tmp_path / "relay", central.address))
    load = Load(relay.address, ranks=RANKS)
    load.run(100)
    load.close()
    begin = time.monotonic()
    assert relay.stop() == 0
    assert time.monotonic() - begin < 5
    wait_for_frames(central, 100, RANKS)
    wait_for(lambda: central.metric('muster_runs{state="ended"}') == 1, "the Goodbyes to arrive")


def test_stopped_with_nowhere_to_leave_reports(tmp_path, nodes):
    relay = add(nodes, start_relay(tmp_path / "relay", free_address(), config="relay:\n  grace: 1s\n"))
    load = Load(relay.address, ranks=RANKS)
    load.run(10)
    wait_for(lambda: relay.metric("muster_relay_reports_received_total") == 10 * RANKS, "the reports")
    begin = time.monotonic()
    assert relay.stop() == 0
    # 0.5 s for the ranks' streams, 1 s of grace, and what a busy machine adds.
    assert 1 < time.monotonic() - begin < 6


def test_upstream_hangs(tmp_path, nodes):
    """Connected, but without an answer: the spool takes what waits."""
    central = add(nodes, start_central(tmp_path / "central"))
    relay = add(nodes, start_relay(tmp_path / "relay", central.address, spool=True))
    load = Load(relay.address, ranks=RANKS)
    load.run(10)
    wait_until_settled(load)
    central.pause()
    load.run(50)
    wait_until_settled(load)
    assert relay.metric(SPOOLED) == 50 * RANKS
    central.go_on()
    wait_for(lambda: relay.metric(SPOOLED) == 0, "the spool to be empty")
    wait_for_frames(central, 60, RANKS)


def test_full_spool_drops_the_oldest_and_counts(tmp_path, nodes):
    central = add(nodes, start_central(tmp_path / "central"))
    config = "relay:\n  spool_bytes: 1048576\n  drain_rate: 100000\n"
    relay = add(nodes, start_relay(tmp_path / "relay", central.address, spool=True, config=config))
    central.kill()
    monitor = muster.start(relay.address, "run", 0, 1, ring_capacity=1 << 14)
    for step in range(16000):
        monitor.end_step(step, loss=1.0)
    wait_for(lambda: monitor.stats().queued == 0, "the spool to take all")
    assert monitor.stats().dropped == 0
    wait_for(lambda: relay.dropped().get("spool", 0) > 0, "the spool to be full")
    kept = relay.metric(SPOOLED)
    assert relay.metric("muster_relay_spool_bytes") <= 1 << 20
    assert kept + relay.dropped()["spool"] == 16000
    central.start()
    wait_for(lambda: relay.metric(SPOOLED) == 0, "the spool to be empty")
    wait_for(lambda: central.metric('muster_reports_received_total{run="run"}') == kept, "what was kept")
    # The newest are what is kept.
    assert frames(central)[-1] == (15999, 1, 1)


def test_memory_only_is_bounded_and_counts(tmp_path, nodes):
    central = add(nodes, start_central(tmp_path / "central"))
    config = "relay:\n  memory_bytes: 1048576\n"
    relay = add(nodes, start_relay(tmp_path / "relay", central.address, config=config))
    central.kill()
    monitor = muster.start(relay.address, "run", 0, 1, ring_capacity=1 << 14)
    for step in range(16000):
        monitor.end_step(step, loss=1.0)
    wait_for(lambda: relay.metric("muster_relay_reports_received_total") == 16000, "all to come")
    wait_for(lambda: relay.metric("muster_relay_memory_bytes") <= 1 << 20, "the oldest to be dropped")
    # Without a spool nothing is acknowledged that upstream has not.
    assert monitor.stats().acknowledged == 0
    kept = relay.metric("muster_relay_memory_reports")
    assert kept + relay.dropped()["memory"] == 16000
    assert "muster_relay_spool_reports" not in relay.metrics()
    central.start()
    wait_for(lambda: central.metrics().get('muster_reports_received_total{run="run"}') == kept, "what was kept")
    wait_for(lambda: monitor.stats().queued == 0, "the rank to be told")


def test_corrupt_spool_is_set_aside(tmp_path, nodes):
    central, relay, load = run_without_central(tmp_path, nodes, 20)
    relay.kill()
    file = relay.folder / "spool" / "spool.db"
    for leftover in file.parent.glob("spool.db-*"):
        leftover.unlink()
    file.write_bytes(b"no database" * 1000)
    relay.start()
    central.start()
    assert relay.metric("muster_relay_spool_set_aside_total") == 1
    assert relay.metric("muster_relay_spool_ok") == 1
    (aside,) = file.parent.glob("spool.db.corrupt-*")
    assert aside.read_bytes() == b"no database" * 1000
    assert str(aside) in relay.log
    load.run(10)
    wait_until_settled(load)
    wait_for(lambda: len(frames(central)) == 10, "live reports to go on")
    load.close()


def test_unwritable_spool_costs_nothing_live(tmp_path, nodes):
    central = add(nodes, start_central(tmp_path / "central"))
    (tmp_path / "relay").mkdir()
    (tmp_path / "relay" / "spool").write_text("a file in its place")
    relay = add(nodes, start_relay(tmp_path / "relay", central.address, spool=True))
    assert relay.metric("muster_relay_spool_ok") == 0
    load = Load(relay.address, ranks=RANKS)
    load.run(50)
    wait_until_settled(load)
    wait_for_frames(central, 50, RANKS)
    central.kill()
    load.run(10)
    wait_for(lambda: relay.metric("muster_relay_spool_errors_total") >= 2, "errors to be counted")
    central.start()
    wait_until_settled(load)
    assert relay.dropped() == {}
    load.close()
