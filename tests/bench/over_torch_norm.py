"""Time of the sketch over that of torch.linalg.vector_norm, on one thread.

usage: over_torch_norm.py LIBRARY [--json FILE] [--mebibytes N] [--pairs N]

Adds its key to FILE, if that is there.
"""
import argparse
import ctypes
import json
import os
import statistics
import time

import torch

KEY = "sketch.f32.k1024.over_torch_norm"


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--json")
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--pairs", type=int, default=31)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    count = arguments.mebibytes * 2**18
    gradient = torch.randn(2**18, generator=torch.Generator().manual_seed(1))
    gradient = gradient.repeat(count // 2**18)
    sketch = ctypes.CDLL(os.path.abspath(arguments.library)).muster_bench_sketch
    sketch.restype = ctypes.c_double
    sketch.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32]

    def ours():
        return sketch(gradient.data_ptr(), count, 1024)

    def theirs():
        return torch.linalg.vector_norm(gradient)

    exact = float(torch.linalg.vector_norm(gradient, dtype=torch.float64))
    assert abs(ours() ** 0.5 / exact - 1) < 1e-5, "the sketch's norm is wrong"
    theirs()
    ratios = []
    for pair in range(arguments.pairs):
        before = seconds(theirs) if pair % 2 else None
        time_of_ours = seconds(ours)
        ratios.append(time_of_ours / (before or seconds(theirs)))
    ratios.sort()
    median = statistics.median(ratios)
    rank = max(0, int(arguments.pairs / 2 - 0.98 * arguments.pairs**0.5))
    print(f"{KEY:<46} {median:8.3f}   [{ratios[rank]:.3f}, {ratios[-1 - rank]:.3f}]")
    if arguments.json:
        numbers = {}
        if os.path.exists(arguments.json):
            with open(arguments.json, encoding="utf-8") as file:
                numbers = json.load(file)
        numbers[KEY] = round(median, 6)
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(numbers, file, indent=2, sort_keys=True)
            file.write("\n")


if __name__ == "__main__":
    main()
