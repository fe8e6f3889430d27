"""Runs a function in N forked processes joined by Gloo.

torch is imported once in the parent, which must run no backward pass and start
no client: threads do not survive a fork.
"""

import multiprocessing
import multiprocessing.connection
import os
import tempfile
import time
import traceback

import torch
import torch.distributed as dist

_context = multiprocessing.get_context("fork")


def run(world_size, function, *arguments, timeout=240.0):
    """[function(rank, *arguments) for each rank]; fails with a rank's traceback.

    The default process group is Gloo over loopback. `timeout` in seconds is that
    of the whole: ranks that are still alive then are killed.
    """
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, "store")
        return _fork(world_size, _joined, (store, world_size, function, arguments), timeout)


def call(function, *arguments, timeout=60.0):
    """function(*arguments) in a forked process, so that its threads end with it."""
    return _fork(1, _alone, (function, arguments), timeout)[0]


def _joined(rank, store, world_size, function, arguments):
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group(
        "gloo", store=dist.FileStore(store, world_size), rank=rank, world_size=world_size
    )
    return function(rank, *arguments)


def _alone(_, function, arguments):
    return function(*arguments)


def _fork(count, function, arguments, timeout):
    ranks = []
    for rank in range(count):
        receiver, sender = _context.Pipe(duplex=False)
        process = _context.Process(target=_main, args=(sender, rank, function, arguments))
        process.start()
        sender.close()
        ranks.append((process, receiver))
    try:
        return _collect(ranks, time.monotonic() + timeout)
    finally:
        for process, _ in ranks:
            process.join(5)
            if process.is_alive():
                process.kill()
            process.join()


def _collect(ranks, deadline):
    pending = {receiver: rank for rank, (_, receiver) in enumerate(ranks)}
    results = {}
    while pending:
        ready = multiprocessing.connection.wait(pending, deadline - time.monotonic())
        if not ready:
            raise TimeoutError(f"ranks {sorted(pending.values())} did not finish in time")
        for receiver in ready:
            rank = pending.pop(receiver)
            try:
                succeeded, result = receiver.recv()
            except EOFError:
                raise RuntimeError(f"rank {rank} died") from None
            if not succeeded:
                raise RuntimeError(f"rank {rank} failed:\n{result}")
            results[rank] = result
    return [results[rank] for rank in range(len(ranks))]


def _main(sender, rank, function, arguments):
    try:
        sender.send((True, function(rank, *arguments)))
    except BaseException:
        sender.send((False, traceback.format_exc()))
    finally:
        sender.close()
