"""Whatever a training process does with its life, Muster neither hangs nor
crashes it, and nothing but the process that started a monitor reports with it."""

import os
import signal
import subprocess
import time

import pytest
from conftest import Musterd, wait_for
from processes import (
    Listener,
    Relay,
    Script,
    causes_of,
    free_address,
    ranks_of,
    seconds_since,
    steps_of,
)

EXIT_SECONDS = 1.5  # for what an exit costs beside the flush, on a busy machine
LIBRARY = os.environ["MUSTER_LIBRARY"]


@pytest.fixture
def relay(musterd):
    with Relay(musterd.grpc) as relay:
        yield relay
        relay.shutdown()


@pytest.fixture
def script(tmp_path):
    """Starts a Script; whatever is left of it is killed."""
    started = []

    def start(text, *arguments, **named):
        folder = tmp_path / f"script{len(started)}"
        folder.mkdir()
        started.append(Script(folder, text, *arguments, **named))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def only_parent_reported(musterd, relay, parent, steps, departed=True):
    """One process, one incarnation, one connection, and each step once."""
    rank = wait_for(lambda: left(musterd), "the rank to be gone")
    assert rank["pid"] == parent.pid
    assert rank["departed"] == departed
    assert rank["reportsDropped"] == "0"
    assert causes_of(musterd) == ["start"]
    assert steps_of(musterd) == list(range(steps))
    assert relay.connections == 1


def left(musterd):
    (rank,) = ranks_of(musterd)
    return None if rank["connected"] else rank


# --- Children


@pytest.mark.parametrize("persistent", [False, True])
def test_data_loader_workers(musterd, relay, script, persistent):
    training = script(
        f"""
import torch

class Samples(torch.utils.data.Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, index):
        assert os.getpid() != parent and not monitor.enabled
        monitor.end_step(1000 + index, loss=2.0)
        return torch.tensor([float(index)])

torch.manual_seed(0)
parent = os.getpid()
monitor = muster.start()
model = torch.nn.Linear(1, 1)
loader = torch.utils.data.DataLoader(
    Samples(), batch_size=4, num_workers=2, persistent_workers={persistent}
)
step = 0
for epoch in range(2):
    for batch in loader:
        loss = model(batch).square().mean()
        model.zero_grad()
        loss.backward()
        monitor.observe(0, model.weight.grad)
        monitor.end_step(step, loss=loss)
        step += 1
    print("epoch", epoch, flush=True)
""",
        relay.address,
        OMP_NUM_THREADS="1",
    )
    training.finish("epoch 0\nepoch 1\n")
    only_parent_reported(musterd, relay, training, steps=8)


@pytest.mark.parametrize("leave", ["sys.exit(3)", "os._exit(3)", "os.abort()"])
def test_fork(musterd, relay, script, leave):
    training = script(
        f"""
monitor = muster.start()
train(monitor, 0, 20)
for _ in range(3):
    child = os.fork()
    if child == 0:
        use(monitor)
        {leave}
    print("child", exit_status(child), flush=True)
train(monitor, 20, 40)
""",
        relay.address,
    )
    status = -signal.SIGABRT if "abort" in leave else 3
    training.finish("trained to 20\n" + f"child {status}\n" * 3 + "trained to 40\n")
    only_parent_reported(musterd, relay, training, steps=40)


def test_fork_that_outlives_its_parent(musterd, relay, script):
    training = script(
        """
monitor = muster.start()
train(monitor, 0, 20)
if os.fork() == 0:
    parent = os.getppid()
    wait_until(lambda: os.getppid() != parent)
    use(monitor)
""",
        relay.address,
    )
    training.finish("trained to 20\n")
    only_parent_reported(musterd, relay, training, steps=20)


def test_multiprocessing_by_fork(musterd, relay, script):
    training = script(
        """
import multiprocessing

def work(queue):
    use(monitor)
    queue.put(monitor.enabled)

context = multiprocessing.get_context("fork")
queue = context.Queue()
monitor = muster.start()
train(monitor, 0, 20)
child = context.Process(target=work, args=(queue,))
child.start()
enabled = queue.get()
child.join()
print("child", enabled, child.exitcode, flush=True)
with context.Pool(2) as pool:
    print(pool.map(abs, range(-3, 0)), flush=True)
train(monitor, 20, 40)
""",
        relay.address,
    )
    training.finish("trained to 20\nchild False 0\n[3, 2, 1]\ntrained to 40\n")
    only_parent_reported(musterd, relay, training, steps=40)


# A child may well be a rank of its own.
SECOND_RANK = """
import multiprocessing

def second_rank():
    with muster.start(rank=1, world_size=2) as monitor:
        train(monitor, 0, 20)

if __name__ == "__main__":
    monitor = muster.start()
    child = multiprocessing.get_context("{context}").Process(target=second_rank)
    child.start()
    child.join()
    print("child", child.exitcode, flush=True)
    train(monitor, 0, 20)
    monitor.close()
    print("pid of child", child.pid)
"""


def two_ranks_reported(musterd, script, context):
    training = script(SECOND_RANK.format(context=context), musterd.grpc, world_size=2)
    assert training.wait() == 0
    lines = training.output.splitlines()
    assert lines[:3] == ["trained to 20", "child 0", "trained to 20"]
    ranks = ranks_of(musterd)
    assert [rank["pid"] for rank in ranks] == [training.pid, int(lines[3].split()[-1])]
    assert all(rank["departed"] for rank in ranks)
    assert causes_of(musterd) == ["start"]
    assert steps_of(musterd) == list(range(20))


def test_multiprocessing_by_spawn_starts_a_rank_of_its_own(musterd, script):
    two_ranks_reported(musterd, script, "spawn")


def test_multiprocessing_by_fork_starts_a_rank_of_its_own(musterd, script):
    libraries = subprocess.run(["ldd", LIBRARY], capture_output=True, text=True, check=True).stdout
    if "libgrpc++" in libraries:
        pytest.skip("libmuster.so is built on grpc++, which does not survive a fork")
    two_ranks_reported(musterd, script, "fork")


def test_fork_while_another_thread_ends_steps(musterd, relay, script):
    training = script(
        """
monitor = muster.start(ring_capacity=65536)
done = threading.Event()
statuses = []

def fork_often():
    for i in range(200):
        child = os.fork()
        if child == 0:
            use(monitor)
            os._exit(0)
        statuses.append(exit_status(child))
    done.set()

forking = threading.Thread(target=fork_often)
forking.start()
step = 0
while not done.is_set():
    monitor.observe(0, GRADIENT)
    monitor.end_step(step, loss=1.0)
    step += 1
    if step % 16 == 0:
        time.sleep(0.001)  # more steps than the daemon takes would be dropped
forking.join()
print(statuses == [0] * 200, flush=True)
monitor.close()
""",
        relay.address,
    )
    training.finish("True\n")
    rank = left(musterd)
    assert (rank["pid"], rank["departed"]) == (training.pid, True)
    assert int(rank["values"]["loss"]) == 1 and int(rank["lastStep"]) < 10**6
    assert causes_of(musterd) == ["start"]
    assert relay.connections == 1


# --- Another program


def test_exec_starts_anew(musterd, script, tmp_path):
    after = tmp_path / "after.py"
    after.write_text(
        """
import os, muster
links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
sockets = [link for link in links if os.path.exists(link) and "socket" in os.readlink(link)]
print("sockets left over:", len(sockets), flush=True)
with muster.start() as monitor:
    for step in range(2, 5):
        monitor.end_step(step, loss=1.0)
print("ended", flush=True)
"""
    )
    training = script(
        f"""
monitor = muster.start()
train(monitor, 0, 3)
wait_until(lambda: monitor.stats().acknowledged == 3)
os.execv(sys.executable, [sys.executable, {str(after)!r}])
""",
        musterd.grpc,
    )
    training.finish("trained to 3\nsockets left over: 0\nended\n")
    (rank,) = ranks_of(musterd)
    assert (rank["pid"], rank["departed"], rank["lastStep"]) == (training.pid, True, "4")
    assert causes_of(musterd) == ["start", "restart"]
    assert steps_of(musterd) == [0, 1, 2, 2, 3, 4]


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


# --- The daemon


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
