"""A daemon that comes late, never or half-way costs a training process nothing but
the flush at its end."""

import signal
import time

from conftest import Musterd, wait_for
from processes import (
    EXIT_SECONDS,
    Listener,
    causes_of,
    free_address,
    left,
    ranks_of,
    seconds_since,
    steps_of,
)


def test_daemon_that_comes_later(script, tmp_path):
    address = free_address()
    training = script(
        """
monitor = muster.start()
train(monitor, 0, 20)
wait_until(lambda: monitor.stats().acknowledged == 20)
print(monitor.stats().dropped, flush=True)
""",
        address,
    )
    wait_for(lambda: training.output, "the training")
    time.sleep(2)  # some attempts have failed
    musterd = Musterd(tmp_path, grpc=address)
    try:
        assert training.wait() == 0
        assert training.output == "trained to 20\n0\n"
        assert training.errors.count("\n") == 1 and "cannot reach" in training.errors
        (rank,) = ranks_of(musterd)
        assert (rank["pid"], rank["departed"]) == (training.pid, True)
        assert steps_of(musterd) == list(range(20))
    finally:
        musterd.stop()


START = "monitor = muster.start(flush_timeout=0.7)\n"
LEAVE = """
train(monitor, 1, 300)
print(time.monotonic(), flush=True)
"""


def left_in_time(training):
    assert training.wait() == 0
    took = seconds_since(float(training.output.split()[-1]))
    assert 0.7 <= took < 0.7 + EXIT_SECONDS


def test_daemon_that_never_comes(script):
    left_in_time(script(START + LEAVE, free_address()))


def test_daemon_that_takes_the_connection_and_nothing_else(script):
    listener = Listener()
    left_in_time(script(START + LEAVE, listener.address))
    listener.close()


def test_daemon_that_is_stopped(musterd, script):
    training = script(
        START
        + """
train(monitor, 0, 1)
wait_until(lambda: monitor.stats().acknowledged == 1)
print("stop the daemon", flush=True)
wait_until(lambda: os.path.exists("stopped"))
"""
        + LEAVE,
        musterd.grpc,
    )
    wait_for(lambda: "stop" in training.output, "the training")
    musterd.process.send_signal(signal.SIGSTOP)
    try:
        (training.folder / "stopped").touch()
        left_in_time(training)
    finally:
        musterd.process.send_signal(signal.SIGCONT)
    rank = wait_for(lambda: left(musterd), "the rank to be gone")
    assert rank["pid"] == training.pid
    assert causes_of(musterd) == ["start"]
