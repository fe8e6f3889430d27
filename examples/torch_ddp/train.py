#!/usr/bin/env python3
"""Trains a small byte-level GPT with DistributedDataParallel, watched by Muster.

    train.py --ranks 8 --address 127.0.0.1:7600 --run-id mine
    torchrun --nproc-per-node 8 train.py --address 127.0.0.1:7600

Without RANK in the environment it starts its ranks itself. --scenario picks a
way in which the ranks disagree; the lines that have to do with Muster are the
ones that mention `monitor`.
"""

import argparse
import dataclasses
import math
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import sys
import tempfile
import time
from typing import Iterator, Optional

import torch
import torch.distributed as dist
from gpt import GPT
from text import StandardLibrary
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler

# From a source tree the package is not installed.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "client" / "python"))

import muster  # noqa: E402
import muster.torch  # noqa: E402

CONTEXT = 48
BATCH = 8
LEARNING_RATE = 2e-3
WARM_UP_STEPS = 10

# The rank that a fault is about.
NAN_RANK, NOISY_RANK, SCALED_RANK = 2, 3, 5


@dataclasses.dataclass
class Scenario:
    """How one rank's training differs from what it should be."""

    sampler_seed: int = 0
    generator_seed: int = 0  # of dropout
    shards: bool = True  # each rank draws its own part of the data
    noisy_targets: float = 0.0  # share of targets that are random
    gradient_factor: float = 1.0
    nan: bool = False  # one element of one step's gradient


SCENARIOS = {
    # One seed for sampler and dropout on all ranks: how it should be.
    "strict": lambda rank: Scenario(),
    # Rank 0 was given another seed.
    "mild": lambda rank: Scenario(sampler_seed=int(rank == 0), generator_seed=int(rank == 0)),
    # Every rank has a seed of its own, for the sampler too.
    "significant": lambda rank: Scenario(sampler_seed=rank, generator_seed=rank),
    # Somebody forgot the DistributedSampler: all ranks train on the same data.
    "duplicate-shard": lambda rank: Scenario(shards=False),
    "noisy-labels": lambda rank: Scenario(noisy_targets=0.2 * (rank == NOISY_RANK)),
    "scaled-gradient": lambda rank: Scenario(gradient_factor=1.3 if rank == SCALED_RANK else 1.0),
    "nan": lambda rank: Scenario(nan=rank == NAN_RANK),
}


def train(options: argparse.Namespace, rank: int, world_size: int) -> None:
    """Runs one rank of an initialised process group."""
    scenario = SCENARIOS[options.scenario](rank)
    torch.manual_seed(1)  # the same model on all ranks
    model = GPT(length=CONTEXT)
    ddp = DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    first_step = 0
    if options.resume:
        first_step = load_checkpoint(options.resume, model, optimizer)

    monitor = muster.start(
        address=options.address,
        run_id=options.run_id,
        rank=rank,
        world_size=world_size,
        parameter_count=sum(parameter.numel() for parameter in model.parameters()),
        facts={"sampler_seed": scenario.sampler_seed, "batch_size": BATCH},
        on_alert=(lambda alert: print(f"  {alert.kind}: {alert.evidence}")) if rank == 0 else None,
    )
    monitor.show_facts(generator_seed=scenario.generator_seed)
    muster.torch.watch(monitor, ddp)

    torch.manual_seed(1_000_003 * scenario.generator_seed + first_step)
    text = StandardLibrary(CONTEXT)
    sampler = DistributedSampler(
        text,
        num_replicas=world_size if scenario.shards else 1,
        rank=rank if scenario.shards else 0,
        seed=scenario.sampler_seed,
    )
    noise = torch.Generator().manual_seed(rank)
    last_step = first_step + options.steps - 1
    nan_step = first_step + options.steps // 2

    for step, indices in zip(range(first_step, last_step + 1), batches(sampler, first_step)):
        window = text[indices]
        tokens, targets = window[:, :-1], window[:, 1:]
        if scenario.noisy_targets > 0:
            random = torch.randint(256, targets.shape, generator=noise)
            chosen = torch.rand(targets.shape, generator=noise) < scenario.noisy_targets
            targets = torch.where(chosen, random, targets)
        rate = LEARNING_RATE * min(1.0, (step + 1) / WARM_UP_STEPS)
        for group in optimizer.param_groups:
            group["lr"] = rate

        optimizer.zero_grad()
        poison = poison_next_gradient(model) if scenario.nan and step == nan_step else None
        logits = ddp(tokens)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        # Backward of a scaled loss, while the true one is reported.
        loss.backward(torch.tensor(scenario.gradient_factor))
        monitor.end_step(step, loss=loss, weight=targets.numel(), lr=rate)
        if poison:
            poison.remove()

        # All ranks hold the same averaged gradient, so all of them skip a bad one.
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if math.isfinite(norm):
            optimizer.step()
        if options.checkpoint and rank == 0 and (step + 1) % options.checkpoint_every == 0:
            save_checkpoint(options.checkpoint, model, optimizer, step + 1)
        if rank == 0 and (step % options.print_every == 0 or step == last_step):
            print(f"  {options.scenario} step {step} loss {loss.item():.3f}", flush=True)
        time.sleep(options.step_delay)
    monitor.close()


def batches(sampler: DistributedSampler, first_step: int) -> Iterator[list[int]]:
    """Indices of a batch for each step from `first_step` on, epoch after epoch."""
    steps_per_epoch = sampler.num_samples // BATCH
    epoch, position = divmod(first_step, steps_per_epoch)
    while True:
        sampler.set_epoch(epoch)
        indices = list(sampler)
        for place in range(position, steps_per_epoch):
            yield indices[place * BATCH : (place + 1) * BATCH]
        epoch, position = epoch + 1, 0


def poison_next_gradient(model: nn.Module) -> torch.utils.hooks.RemovableHandle:
    """Puts a NaN into one element of the gradient, until the handle is removed."""

    def poison(gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.clone()
        gradient.view(-1)[0] = float("nan")
        return gradient

    return model.head.weight.register_hook(poison)


def save_checkpoint(path: str, model: nn.Module, optimizer: torch.optim.Optimizer, step: int):
    """Writes the state from which `step` starts; a reader never sees half of it."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    torch.save(state, path + ".new")
    os.replace(path + ".new", path)


def load_checkpoint(path: str, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """The step to start from."""
    state = torch.load(path)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


def run_rank(options: argparse.Namespace, rank: int, world_size: int, meeting: str) -> None:
    """Joins the process group at `meeting`, an init_method of torch, and trains."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world_size)
    train(options, rank, world_size)
    dist.destroy_process_group()


def launch(options: argparse.Namespace) -> None:
    """Forks the ranks and waits for them; RuntimeError if one fails.

    torch is imported once for all of them. Nothing may have started a thread.
    """
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{folder}/meeting"
        processes = [
            context.Process(target=run_rank, args=(options, rank, options.ranks, meeting))
            for rank in range(options.ranks)
        ]
        for process in processes:
            process.start()
        failed = wait(processes)
    if failed is not None:
        raise RuntimeError(f"rank {failed} of scenario {options.scenario} failed")


def wait(processes: list) -> Optional[int]:
    """The first rank that failed, the others ended; None if all succeeded."""
    running = {process.sentinel: rank for rank, process in enumerate(processes)}
    while running:
        for sentinel in multiprocessing.connection.wait(running):
            rank = running.pop(sentinel)
            processes[rank].join()
            if processes[rank].exitcode != 0:
                for process in processes:
                    process.kill()
                    process.join()
                return rank
    return None


def parse(arguments: Optional[list[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", choices=SCENARIOS, default="strict")
    parser.add_argument("--ranks", type=int, default=8, help="processes to start (default 8)")
    parser.add_argument("--steps", type=int, default=100, help="steps to train (default 100)")
    parser.add_argument("--address", help="of musterd's gRPC (default MUSTER_ADDRESS)")
    parser.add_argument("--run-id", help="name of the run (default MUSTER_RUN_ID)")
    parser.add_argument("--checkpoint", help="file that rank 0 writes")
    parser.add_argument("--checkpoint-every", type=int, default=10, help="steps (default 10)")
    parser.add_argument("--resume", help="checkpoint to start from")
    parser.add_argument("--step-delay", type=float, default=0.0, help="seconds to add to a step")
    parser.add_argument("--print-every", type=int, default=20, help="steps (default 20)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    chosen = parse()
    if "RANK" in os.environ:
        run_rank(chosen, int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), "env://")
    else:
        launch(chosen)
