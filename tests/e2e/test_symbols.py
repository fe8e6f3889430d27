"""libmuster.so beside whatever else is loaded into a training process."""

import itertools
import os
import shutil
import subprocess

import pytest
from processes import Script, ranks_of, steps_of

LIBRARY = os.environ["MUSTER_LIBRARY"]


def test_only_the_c_abi_is_shown():
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", LIBRARY], capture_output=True, text=True, check=True
    )
    names = {line.split()[-1] for line in listed.stdout.splitlines()}
    assert {"muster_start", "muster_end_step", "muster_stop"} <= names
    assert {name for name in names if not name.startswith("muster_")} == set()


def test_stays_loaded_for_the_threads_that_it_leaves_behind(tmp_path):
    script = Script(
        tmp_path,
        f"""
import _ctypes, ctypes

library = ctypes.CDLL({LIBRARY!r})
_ctypes.dlclose(library._handle)
with open("/proc/self/maps") as maps:
    print("libmuster" in maps.read(), flush=True)
""",
    )
    script.finish("True\n")


# What uses each library a little; all of them are loaded first, in any order.
USES = {
    "muster": """
import muster
monitor = muster.start()  # loads libmuster.so
""",
    "numpy": """
import numpy
def use_numpy():
    return float(numpy.linalg.norm(numpy.full(4, 2.0, numpy.float32)))
""",
    "torch": """
import torch
def use_torch():
    weight = torch.ones(8, 8, requires_grad=True)
    (weight @ weight).sum().backward()
    return float(weight.grad[0, 0])
""",
    # A server and a channel of this very process, and protobuf's own runtime.
    "grpc": """
import grpc
from concurrent import futures
from google.protobuf import struct_pb2

def double(request, context):
    return request + request

server = grpc.server(futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers([
    grpc.method_handlers_generic_handler(
        "test.Echo", {"Double": grpc.unary_unary_rpc_method_handler(double)}
    )
])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
channel = grpc.insecure_channel(f"127.0.0.1:{port}")

def use_grpc():
    sent = struct_pb2.Value(number_value=1.5).SerializeToString()
    answer = channel.unary_unary("/test.Echo/Double")(sent, timeout=10)
    return struct_pb2.Value.FromString(answer).number_value
""",
}
EXPECTED = {"numpy": "4.0", "torch": "16.0", "grpc": "1.5"}


def reports_beside(musterd, folder, order):
    others = [name for name in order if name != "muster"]
    calls = "".join(f"print(use_{name}(), flush=True)\n" for name in others)
    script = Script(
        folder,
        "".join(USES[name] for name in order)
        + calls
        + "train(monitor, 0, 20)\n"
        + calls
        + "monitor.close()\n"
        + calls
        + ("channel.close()\nserver.stop(None).wait()\n" if "grpc" in order else ""),
        musterd.grpc,
    )
    results = [EXPECTED[name] for name in others]
    script.finish("\n".join([*results, "trained to 20", *results, *results, ""]))
    (rank,) = ranks_of(musterd)
    assert (rank["pid"], rank["departed"]) == (script.pid, True)
    assert steps_of(musterd) == list(range(20))


ORDERS = itertools.permutations(["muster", "numpy", "torch"])


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_torch_and_numpy(musterd, tmp_path, order):
    reports_beside(musterd, tmp_path, order)


@pytest.mark.parametrize("order", itertools.permutations(["muster", "grpc"]), ids="-".join)
def test_grpcio(musterd, tmp_path, order):
    reports_beside(musterd, tmp_path, order)


def test_two_copies(musterd, tmp_path):
    copy = tmp_path / "libcopy.so"
    shutil.copyfile(LIBRARY, copy)
    script = Script(
        tmp_path,
        f"""
def import_with(library):
    # The package anew, as if it were installed twice.
    for name in [name for name in sys.modules if name.split(".")[0] == "muster"]:
        del sys.modules[name]
    os.environ["MUSTER_LIBRARY"] = library
    import muster
    return muster

libraries = [os.path.realpath({LIBRARY!r}), {str(copy)!r}]
monitors = [
    import_with(library).start(rank=rank, world_size=2)
    for rank, library in enumerate(libraries)
]
with open("/proc/self/maps") as maps:
    loaded = maps.read()
print(all(library in loaded for library in libraries), flush=True)
for monitor in monitors:
    train(monitor, 0, 20)
child = os.fork()
if child == 0:
    for monitor in monitors:
        use(monitor)
    os._exit(0)
print("child", exit_status(child), flush=True)
monitors[1].close()
train(monitors[0], 20, 40)
""",
        musterd.grpc,
        world_size=2,
    )
    script.finish("True\ntrained to 20\ntrained to 20\nchild 0\ntrained to 40\n")
    ranks = ranks_of(musterd)
    assert [(rank["pid"], rank["departed"]) for rank in ranks] == [(script.pid, True)] * 2
    assert [rank["lastStep"] for rank in ranks] == ["39", "19"]
    assert steps_of(musterd) == list(range(40))
