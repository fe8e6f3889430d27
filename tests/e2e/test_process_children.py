"""Forks, exec and multiprocessing: nothing but the process that started a monitor
reports with it, and a child may start one of its own."""

import os
import signal
import subprocess

import pytest
from conftest import wait_for
from processes import causes_of, left, only_parent_reported, ranks_of, steps_of

LIBRARY = os.environ["MUSTER_LIBRARY"]


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


def test_fork_that_outlives_its_killed_parent(musterd, script):
    training = script(
        """
monitor = muster.start()
train(monitor, 0, 20)
wait_until(lambda: monitor.stats().acknowledged == 20)
child = os.fork()
if child == 0:
    wait_until(lambda: os.path.exists("leave"))
    os._exit(0)
print(child, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
""",
        musterd.grpc,
    )
    wait_for(lambda: training.output.count("\n") == 2, "the training")
    child = int(training.output.split()[-1])
    rank = wait_for(lambda: left(musterd), "the rank to be gone", timeout=5)
    assert (rank["pid"], rank["departed"], rank["lastStep"]) == (training.pid, False, "19")
    os.kill(child, 0)  # it lives, and the rank does not with it
    (training.folder / "leave").touch()
    assert training.wait() == -signal.SIGKILL


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
