"""Training beside a daemon that is absent, deaf, slow, stopped, killed or hangs up."""

import contextlib
import signal
import socket
import threading
import time

import forked_ranks
import pytest
from conftest import wait_for

import muster

STEPS = 2000
SETTINGS = bytes(9).replace(b"\0\0\0\0", b"\0\0\0\4", 1)  # an empty frame of type 4


@contextlib.contextmanager
def listener(serve):
    """The address of a socket whose connections go to serve(connection), one by one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ending = threading.Event()

        def accept():
            held = []
            while not ending.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = server.accept()
                    held.append(connection)
                    serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield "127.0.0.1:%d" % server.getsockname()[1]
        ending.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def keep(connection):
    pass


def hang_up(connection):
    connection.close()


def one_byte_a_second(connection):
    for byte in SETTINGS:
        connection.send(bytes([byte]))
        time.sleep(1)


def _train(address, act=None):
    """What the calls took in seconds, what close() took, and the counts before it."""
    monitor = muster.start(address, "bad", 0, 1, flush_timeout=0.5)
    gradient = memoryview(bytes(4 * 1024)).cast("f")
    calls = []
    for step in range(STEPS):
        if act is not None and step == STEPS // 2:
            wait_for(lambda: monitor.stats().acknowledged > 0, "an acknowledgement")
            act()
        started = time.perf_counter()
        monitor.observe(0, gradient)
        monitor.end_step(step, loss=1.0)
        calls.append(time.perf_counter() - started)
    stats = monitor.stats()
    started = time.perf_counter()
    monitor.close()
    return sorted(calls), time.perf_counter() - started, stats


def check(outcome, acknowledged):
    calls, closing, stats = outcome
    assert stats.made == STEPS
    assert stats.made == stats.acknowledged + stats.dropped + stats.queued
    assert (stats.acknowledged > 0) == acknowledged
    assert calls[len(calls) // 2] < 0.001
    assert calls[int(len(calls) * 0.99)] < 0.01
    assert closing < 3


@pytest.mark.parametrize("serve", [None, keep, hang_up, one_byte_a_second])
def test_daemon_that_never_answers_costs_nothing_but_data(serve):
    if serve is None:
        check(forked_ranks.call(_train, "127.0.0.1:1"), acknowledged=False)
        return
    with listener(serve) as address:
        check(forked_ranks.call(_train, address), acknowledged=False)


def test_stopped_daemon_costs_nothing_but_data(musterd):
    def stop():
        musterd.process.send_signal(signal.SIGSTOP)

    try:
        check(forked_ranks.call(_train, musterd.grpc, stop), acknowledged=True)
    finally:
        musterd.process.send_signal(signal.SIGCONT)


def test_killed_daemon_costs_nothing_but_data(musterd):
    check(forked_ranks.call(_train, musterd.grpc, musterd.process.kill), acknowledged=True)
