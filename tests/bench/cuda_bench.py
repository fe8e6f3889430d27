"""The sketch of device memory: right, fast, and never waited for. Needs a GPU
and a PyTorch that knows it; says so and ends well where there is none.

usage: cuda_bench.py LIBRARY [--only correctness,bandwidth,ddp] [--elements N] [--pairs N] [--json FILE]

LIBRARY is libmuster_cuda.so. Run as `compute-sanitizer --error-exitcode 1
/usr/bin/python3 tests/bench/cuda_bench.py LIBRARY --only correctness` it looks for errors of memory.
"""

import argparse
import ctypes
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
WIDTH = 1024
SEED = 0x6D75737465720001
BUCKET_BYTES = 25 * 2**20


class Result(ctypes.Structure):
    """muster_cuda_result."""

    _fields_ = [
        ("has_sums", ctypes.c_int),
        ("has_loss", ctypes.c_int),
        ("squared_norm", ctypes.c_double),
        ("nonfinite_count", ctypes.c_uint64),
        ("loss", ctypes.c_double),
        ("has_scale", ctypes.c_int),
        ("scale", ctypes.c_double),
    ]


class Cuda:
    """libmuster_cuda.so (client/cuda/muster_cuda.h) on the current device and stream."""

    def __init__(self, torch, path, width=WIDTH):
        self._torch = torch
        self._width = width
        self._library = ctypes.CDLL(os.path.abspath(path))
        pointer, u64 = ctypes.c_void_p, ctypes.c_uint64
        for name, result, arguments in (
            ("create", pointer, [ctypes.c_int, ctypes.c_uint32, u64]),
            ("observe", ctypes.c_int, [pointer, pointer, u64, pointer, u64, ctypes.c_int]),
            ("end_step", u64, [pointer, pointer, pointer, ctypes.c_int, pointer]),
            ("poll", ctypes.c_int, [pointer, u64, pointer, ctypes.POINTER(Result)]),
            ("failure", ctypes.c_char_p, [pointer]),
        ):
            function = getattr(self._library, f"muster_cuda_{name}")
            function.restype, function.argtypes = result, arguments
        device = torch.cuda.current_device()
        self._cuda = self._library.muster_cuda_create(device, width, SEED)
        self._types = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}

    def observe(self, offset, data):
        stream = self._torch.cuda.current_stream().cuda_stream
        status = self._library.muster_cuda_observe(
            self._cuda, stream, offset, data.data_ptr(), data.numel(), self._types[data.dtype]
        )
        assert status == 0, self._library.muster_cuda_failure(self._cuda)

    def end_step(self):
        stream = self._torch.cuda.current_stream().cuda_stream
        ticket = self._library.muster_cuda_end_step(self._cuda, stream, None, 0, None)
        assert ticket, self._library.muster_cuda_failure(self._cuda)
        return ticket

    def take(self, ticket):
        """(values, squared norm, count of non-finite elements)"""
        values = (ctypes.c_double * self._width)()
        result = Result()
        deadline = time.monotonic() + 60
        status = 3
        while status == 3:
            status = self._library.muster_cuda_poll(
                self._cuda, ticket, values, ctypes.byref(result)
            )
            assert time.monotonic() < deadline, "no result within 60 s"
        assert status == 0 and result.has_sums
        return list(values), result.squared_norm, result.nonfinite_count


def correctness(torch, library, _, numbers):
    """Against the NumPy reference, which shares no code with it."""
    import numpy

    sys.path.insert(0, str(ROOT / "tests" / "testing"))
    import sketch_reference

    generator = torch.Generator().manual_seed(5)
    cases = 0
    for width in (64, 1024, 65536):
        spec = sketch_reference.Spec(width, SEED)
        cuda = Cuda(torch, library, width)
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            for offset in (0, 5, 2**35 + 77):
                for start, count in ((0, 1), (0, 1024), (1, 100_003), (3, 3_000_001)):
                    host = torch.randint(-15, 16, (start + count,), generator=generator)
                    host = host.to(dtype)
                    data = host.cuda()[start:]
                    cuda.observe(offset, data)
                    values, squares, nonfinite = cuda.take(cuda.end_step())
                    expected = sketch_reference.sketch(
                        spec, offset, host[start:].double().numpy()
                    )
                    assert values == expected.values.tolist(), (width, dtype, offset, start, count)
                    assert (squares, nonfinite) == (expected.squared_norm, expected.nonfinite)
                    cases += 1
    cuda = Cuda(torch, library)
    for scale in (1e-30, 1e-3, 1e18, 1e35):
        host = torch.randn(1_000_003, generator=generator) * scale
        host[[7, 70_000]] = torch.tensor([float("nan"), float("inf")])
        data = host.cuda()
        results = []
        for _ in range(2):
            cuda.observe(11, data)
            results.append(cuda.take(cuda.end_step()))
        assert results[0] == results[1], "two runs differ"
        values, squares, nonfinite = results[0]
        expected = sketch_reference.sketch(sketch_reference.Spec(WIDTH, SEED), 11, host.numpy())
        assert nonfinite == 2
        assert abs(squares / expected.squared_norm - 1) < 1e-5, scale
        error = numpy.abs(numpy.array(values) - expected.values).max()
        assert error < 1e-5 * scale * (1e6 / WIDTH) ** 0.5, (scale, error)
        cases += 1
    print(f"correctness: {cases} cases agree with the NumPy reference")
    numbers["cuda.correct_cases"] = cases


def milliseconds(torch, work):
    """Device time of `work`, by events of its stream."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    work()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def bandwidth(torch, library, arguments, numbers):
    data = torch.empty(arguments.elements, dtype=torch.bfloat16, device="cuda").normal_()
    copy = torch.empty_like(data)
    cuda = Cuda(torch, library)
    bucket = BUCKET_BYTES // data.element_size()
    gigabytes = data.numel() * data.element_size() / 1e9

    def sketch(elements):
        for offset in range(0, data.numel(), elements):
            cuda.observe(offset, data[offset : offset + elements])
        tickets.append(cuda.end_step())

    def norms(elements):
        for offset in range(0, data.numel(), elements):
            torch.linalg.vector_norm(data[offset : offset + elements], dtype=torch.float32)

    # Bytes that pass the memory's pins: a copy reads and writes each.
    works = {
        "copy": (lambda: copy.copy_(data), 2 * gigabytes),
        "norm": (lambda: norms(data.numel()), gigabytes),
        "norm_25mb": (lambda: norms(bucket), gigabytes),
        "sketch": (lambda: sketch(data.numel()), gigabytes),
        "sketch_25mb": (lambda: sketch(bucket), gigabytes),
    }
    rates = {name: [] for name in works}
    for round_number in range(arguments.pairs + 3):
        for name, (work, moved) in works.items():
            tickets = []
            rate = moved / milliseconds(torch, work) * 1e3
            for ticket in tickets:
                cuda.take(ticket)
            if round_number >= 3:  # the first are for warming up
                rates[name].append(rate)
    print(f"bandwidth: {data.numel():,} bfloat16 elements, {arguments.pairs} rounds, GB/s")
    for name, measured in rates.items():
        numbers[f"cuda.{name}.gb_per_s"] = statistics.median(measured)
        print(f"  {name:<14} {statistics.median(measured):9.1f}")
    for name in ("sketch", "sketch_25mb"):
        norm = name.replace("sketch", "norm")
        for other in ("copy", norm):
            ratio = statistics.median(a / b for a, b in zip(rates[name], rates[other]))
            numbers[f"cuda.{name}.over_{other}"] = ratio
            aim = "   aim: at least 0.85" if (name, other) == ("sketch", "copy") else ""
            print(f"  {name} over {other}: {ratio:.3f}{aim}")


def _rank(rank, store, library, times):
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    sys.path.insert(0, str(ROOT / "client" / "python"))
    os.environ["MUSTER_CUDA_LIBRARY"] = os.path.abspath(library)
    os.environ.setdefault("MUSTER_LIBRARY", str(pathlib.Path(library).resolve().parent / "libmuster.so"))
    import muster
    import muster.torch

    dist.init_process_group("gloo", store=dist.FileStore(store, 2), rank=rank, world_size=2)
    torch.cuda.set_device(0)
    torch.manual_seed(1)

    def model():
        layers = [torch.nn.Linear(2048, 2048) for _ in range(8)]
        return DistributedDataParallel(torch.nn.Sequential(*layers).cuda(), device_ids=[0])

    monitor = muster.start("127.0.0.1:1", "bench", rank, 2, flush_timeout=0.1)
    watched, bare = model(), model()
    muster.torch.watch(monitor, watched)
    batch = torch.randn(512, 2048, device="cuda")
    step = 0

    def block(ddp, attached):
        nonlocal step
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(10):
            loss = ddp(batch).square().mean()
            loss.backward()
            if attached:
                # Raises if anything here waits for the device.
                torch.cuda.set_sync_debug_mode("error")
                monitor.end_step(step, loss=loss)
                torch.cuda.set_sync_debug_mode("default")
                step += 1
        torch.cuda.synchronize()
        return time.perf_counter() - start

    block(bare, False), block(watched, True)
    ratios = [block(watched, True) / block(bare, False) for _ in range(15)]
    stats = monitor.stats()
    monitor.close()
    assert stats.made == step and stats.device_dropped == 0, stats
    if rank == 0:
        times.put(statistics.median(ratios))


def ddp(torch, library, _, numbers):
    """Two ranks on one GPU over Gloo, attached and unattached in turn."""
    context = torch.multiprocessing.get_context("spawn")
    times = context.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, "store")
        torch.multiprocessing.spawn(_rank, (store, library, times), nprocs=2)
    numbers["cuda.ddp.step_ratio"] = times.get()
    print(f"ddp: step time attached over unattached {numbers['cuda.ddp.step_ratio']:.4f}")


PARTS = {"correctness": correctness, "bandwidth": bandwidth, "ddp": ddp}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--elements", type=int, default=10**9)
    parser.add_argument("--pairs", type=int, default=31)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    wanted = arguments.only.split(",")
    if not set(wanted) <= set(PARTS):
        parser.error(f"--only: one or more of {','.join(PARTS)}")
    try:
        import torch
    except ImportError:
        print("no PyTorch: skipped")
        return
    if not torch.cuda.is_available():
        print("no CUDA device: skipped")
        return
    print(f"device: {torch.cuda.get_device_name()}, PyTorch {torch.__version__}")
    numbers = {}
    for name in wanted:
        PARTS[name](torch, arguments.library, arguments, numbers)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(numbers, indent=2) + "\n")


if __name__ == "__main__":
    main()
