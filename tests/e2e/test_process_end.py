"""Exceptions, exits and signals: however a training process ends, Muster neither
hangs nor crashes it."""

import signal
import time

import pytest
from conftest import wait_for
from processes import EXIT_SECONDS, left, only_parent_reported, seconds_since


# --- Exceptions


def test_exception_before_end_step(musterd, relay, script):
    training = script(
        """
monitor = muster.start()
train(monitor, 0, 2)
try:
    monitor.observe(0, GRADIENT)
    raise RuntimeError("of the training script")
except RuntimeError as error:
    print(error, flush=True)
train(monitor, 2, 4)
""",
        relay.address,
    )
    training.finish("trained to 2\nof the training script\ntrained to 4\n")
    only_parent_reported(musterd, relay, training, steps=4)
    steps = musterd.get("/api/v1/runs/run/steps", ranks=1)["steps"]
    # What was left over counts for the next step, whose direction is then not judged.
    assert [step["directions"] for step in steps] == [1, 1, 0, 1]
    norms = [step["ranks"][0]["gradientNorm"] for step in steps]
    assert norms == pytest.approx([5, 5, 50**0.5, 5])


def test_exception_after_which_the_step_is_discarded(musterd, relay, script):
    training = script(
        """
monitor = muster.start()
for step in range(4):
    try:
        monitor.observe(0, GRADIENT, grad_scale=2.0 if step == 1 else None)
        if step == 1:
            raise RuntimeError("of the training script")
    except RuntimeError:
        monitor.discard_step()
    else:
        monitor.end_step(step, loss=1.0)
monitor.close()
monitor.discard_step()
print("ended", flush=True)
""",
        relay.address,
    )
    training.finish("ended\n")
    steps = musterd.get("/api/v1/runs/run/steps", ranks=1)["steps"]
    assert [step["step"] for step in steps] == ["0", "2", "3"]
    assert [step["directions"] for step in steps] == [1, 1, 1]
    # Neither the gradient nor the loss scale of the lost step is left.
    assert [step["ranks"][0]["gradientNorm"] for step in steps] == pytest.approx([5, 5, 5])


def test_exception_that_ends_the_script(musterd, relay, script):
    training = script(
        """
with muster.start() as monitor:
    train(monitor, 0, 20)
    monitor.observe(0, GRADIENT)
    raise SystemExit(7)
""",
        relay.address,
    )
    training.finish("trained to 20\n", status=7)
    only_parent_reported(musterd, relay, training, steps=20)


# --- The end


@pytest.mark.parametrize("leave", ["", "sys.exit(0)", "del monitor"])
def test_exit_without_close(musterd, relay, script, leave):
    training = script(
        f"""
monitor = muster.start()
train(monitor, 0, 200)
{leave}
""",
        relay.address,
    )
    training.finish("trained to 200\n")
    only_parent_reported(musterd, relay, training, steps=200)


def test_close_twice_and_calls_after_it(musterd, relay, script):
    training = script(
        """
monitor = muster.start()
train(monitor, 0, 20)
monitor.close()
monitor.close()
use(monitor)
print(monitor.enabled, monitor.alerts(), monitor.stats() == muster.Stats(), flush=True)
""",
        relay.address,
    )
    training.finish("trained to 20\nFalse [] True\n")
    only_parent_reported(musterd, relay, training, steps=20)


def test_close_while_another_thread_ends_steps(musterd, script):
    training = script(
        """
def train_on(monitor):
    step = 0
    while monitor.enabled:
        monitor.observe(0, GRADIENT)
        monitor.end_step(step, loss=1.0)
        monitor.stats()
        step += 1

sys.setswitchinterval(1e-5)
for i in range(100):
    monitor = muster.start(run_id=f"run-{i}", flush_timeout=0.01)
    threads = [threading.Thread(target=train_on, args=(monitor,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.002)
    monitor.close()
    for thread in threads:
        thread.join()
print("closed", flush=True)
""",
        musterd.grpc,
    )
    training.finish("closed\n")


def test_exit_while_a_daemon_thread_ends_steps(musterd, relay, script):
    training = script(
        """
def train_on():
    step = 0
    while True:
        monitor.observe(0, GRADIENT)
        monitor.end_step(step, loss=1.0)
        step += 1

monitor = muster.start(flush_timeout=0.5)
threading.Thread(target=train_on, daemon=True).start()
wait_until(lambda: monitor.stats().acknowledged > 0)
print("leaving", flush=True)
""",
        relay.address,
    )
    training.finish("leaving\n")
    rank = wait_for(lambda: left(musterd), "the rank to be gone")
    assert rank["departed"]
    assert relay.connections == 1


def test_immediate_exit_with_reports_queued(musterd, relay, script):
    training = script(
        """
monitor = muster.start()
train(monitor, 0, 1)
wait_until(lambda: monitor.stats().acknowledged == 1)
train(monitor, 1, 200)
os._exit(5)
""",
        relay.address,
    )
    training.finish("trained to 1\ntrained to 200\n", status=5)
    rank = wait_for(lambda: left(musterd), "the rank to be gone")
    assert (rank["pid"], rank["departed"]) == (training.pid, False)
    assert relay.connections == 1


def test_exit_in_a_thread_ends_only_the_thread(musterd, relay, script):
    training = script(
        """
def train_a_part():
    train(monitor, 0, 10)
    sys.exit(9)

monitor = muster.start()
thread = threading.Thread(target=train_a_part)
thread.start()
thread.join()
train(monitor, 10, 20)
""",
        relay.address,
    )
    training.finish("trained to 10\ntrained to 20\n")
    only_parent_reported(musterd, relay, training, steps=20)


# --- SIGTERM

TRAIN_FOR_EVER = """
monitor = muster.start()
train(monitor, 0, 20)
wait_until(lambda: monitor.stats().acknowledged == 20)
print("sending", flush=True)
step = 20
while True:
    monitor.observe(0, GRADIENT)
    monitor.end_step(step, loss=1.0)
    step += 1
"""


def test_sigterm_by_default(musterd, relay, script):
    training = script(TRAIN_FOR_EVER, relay.address)
    wait_for(lambda: "sending" in training.output, "the training")
    sent = time.monotonic()
    training.send(signal.SIGTERM)
    training.finish("trained to 20\nsending\n", status=-signal.SIGTERM)
    assert seconds_since(sent) < EXIT_SECONDS
    rank = wait_for(lambda: left(musterd), "the rank to be gone")
    assert (rank["pid"], rank["departed"]) == (training.pid, False)


def test_sigterm_with_a_handler_that_closes(musterd, relay, script):
    training = script(
        """
def leave(number, frame):
    monitor.close()
    print(step, flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, leave)
"""
        + TRAIN_FOR_EVER,
        relay.address,
    )
    wait_for(lambda: "sending" in training.output, "the training")
    time.sleep(0.1)  # reports are on their way
    training.send(signal.SIGTERM)
    assert training.wait() == 0, training.errors
    rank = wait_for(lambda: left(musterd), "the rank to be gone")
    assert rank["departed"]
    # The handler may have come between end_step and the counting of steps.
    counted = int(training.output.split()[-1])
    assert counted > 20 and int(rank["lastStep"]) - counted in (-1, 0)


def test_signal_handler_may_close_at_any_moment(musterd, script):
    training = script(
        """
import random

signal.signal(signal.SIGALRM, lambda number, frame: monitor.close())
random.seed(0)
for i in range(200):
    monitor = muster.start(run_id="run", flush_timeout=0.01)
    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.002))
    while monitor.enabled:
        monitor.observe(0, GRADIENT)
        monitor.end_step(i, loss=1.0)
        monitor.alerts(), monitor.stats()
print("closed", flush=True)
""",
        musterd.grpc,
    )
    training.finish("closed\n")
