"""Training beside a daemon that is absent, deaf, slow, stopped, killed or refuses."""

import time

import bad_daemons
import forked_ranks
import pytest
from conftest import wait_for

import muster

STEPS = 2000
RING = 256


def _train(daemon):
    """What the calls took in seconds, what close() took, and the counts after the
    last step. A daemon that comes back then settles all that is queued."""
    monitor = muster.start(daemon.address, "bad", 0, 1, ring_capacity=RING, flush_timeout=0.5)
    gradient = memoryview(bytes(4 * 1024)).cast("f")
    calls = []
    for step in range(STEPS):
        if daemon.answers and step == STEPS // 2:
            wait_for(lambda: monitor.stats().queued == 0, "acknowledgements")
            daemon.spoil()
        started = time.perf_counter()
        monitor.observe(0, gradient)
        monitor.end_step(step, loss=1.0)
        calls.append(time.perf_counter() - started)
    stats = monitor.stats()
    if daemon.answers:
        daemon.mend()
        wait_for(lambda: monitor.stats().queued == 0, "the daemon to come back")
    started = time.perf_counter()
    monitor.close()
    return sorted(calls), time.perf_counter() - started, stats


@pytest.mark.parametrize("kind", [*bad_daemons.KINDS.values(), bad_daemons.hanging_up])
def test_bad_daemon_costs_nothing_but_data(kind, tmp_path):
    with kind(tmp_path) as daemon:
        calls, closing, stats = forked_ranks.call(_train, daemon)
    assert stats.made == STEPS
    assert stats.made == stats.acknowledged + stats.dropped + stats.queued
    assert stats.queued <= RING
    assert (stats.acknowledged > 0) == daemon.answers
    if daemon.answers:
        # Or it was not spoilt at all.
        assert stats.acknowledged <= STEPS // 2
    assert calls[len(calls) // 2] < 0.001
    assert calls[int(len(calls) * 0.99)] < 0.01
    assert closing < 3
