"""One rank of a run of faults.py: the demo's model and data under torch's own DDP."""

import copy
import math
import os
import pathlib
import signal
import sys
import time
from typing import Optional

import torch
import torch.distributed as dist
from faults import RANKS, Run
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler, Subset

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path += [str(ROOT / "client" / "python"), str(ROOT / "examples" / "torch_ddp")]

import muster  # noqa: E402
import muster.torch  # noqa: E402
from gpt import GPT  # noqa: E402
from text import StandardLibrary  # noqa: E402

CONTEXT = 48
BATCH = 16  # windows a rank and step
RATE = 1e-3
SKETCH_WIDTH = 256
PRETRAINING_STEPS = 120
ACCELERATOR_SECONDS = 0.4  # of a step, where it matters
AVERAGE_AT = 20  # the only step with an average, where ranks train apart


class Rank:
    """What the runs of one process have in common: rank, data, pretrained model."""

    def __init__(self, rank: int, address: str) -> None:
        self.rank = rank
        self.address = address
        self.text = StandardLibrary(CONTEXT)
        torch.manual_seed(1)
        model = GPT(length=CONTEXT)
        self.fresh = copy.deepcopy(model.state_dict())
        ddp = DistributedDataParallel(model)
        optimizer = torch.optim.AdamW(model.parameters(), lr=2 * RATE)
        torch.manual_seed(rank)
        sampler = DistributedSampler(self.text, RANKS, rank, seed=999)
        for _, indices in zip(range(PRETRAINING_STEPS), batches(sampler)):
            window = self.text[indices]
            optimizer.zero_grad()
            cross_entropy(ddp(window[:, :-1]), window[:, 1:]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        self.pretrained = model.state_dict()

    def train(self, run: Run) -> None:
        Training(self, run).run()


class Training:
    """One run on one rank."""

    def __init__(self, common: Rank, run: Run) -> None:
        self.fault = fault = run.fault
        self.rank = common.rank
        self.is_faulty = fault.all_ranks or (bool(fault.kind) and self.rank == run.rank)
        self.model = GPT(length=CONTEXT)
        self.model.load_state_dict(common.fresh if fault.from_scratch else common.pretrained)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=RATE)
        seed = 100 * run.seed + (self.rank + 1 if fault.own_seeds and self.is_faulty else 0)
        self.generator = torch.Generator().manual_seed(1000 * run.seed + self.rank)
        self.sampler = self._sampler(common, seed)
        self.monitor = muster.start(
            address=common.address,
            run_id=run.id,
            rank=self.rank,
            world_size=RANKS,
            parameter_count=sum(parameter.numel() for parameter in self.model.parameters()),
            sketch_width=SKETCH_WIDTH,
            facts={"sampler_seed": seed, "batch_size": BATCH},
        )
        self.step = 0
        self.skips = False
        self.flips: Optional[int] = None
        self.poisons = False
        self.ddp = None
        if fault.dies:
            self.updates = muster.torch.LocalUpdates(self.monitor, self.model)
        else:
            # Before a broadcast of buffers ranks wait for each other, in the time that
            # counts as their own.
            self.ddp = DistributedDataParallel(self.model, broadcast_buffers=not fault.slow)
            muster.torch.watch(self.monitor, self.ddp, hook=self._reduce, optimizer=self.optimizer)
        if fault.checks_replicas:
            muster.torch.check_replicas(self.monitor, self.model, every=5)
        if fault.watches_samples:
            self.sampler = muster.torch.watch_sampler(self.monitor, self.sampler)
        self.model.train()
        if fault.eval_mode and self.is_faulty:
            self.ddp.eval()
        self._put_hooks()
        torch.manual_seed(1_000_003 * (seed + 1) + self.rank)  # of dropout

    def _sampler(self, common: Rank, seed: int):
        data = common.text
        if self.fault.windows is not None:
            data = Subset(data, range(0, len(data), len(data) // self.fault.windows)[: self.fault.windows])
        replicas, rank = (RANKS, self.rank) if self.fault.shards else (1, 0)
        self.epochs = self.fault.reshuffles and not self.fault.fixed_shards
        return DistributedSampler(data, replicas, rank, seed=seed)

    def run(self) -> None:
        kept = None
        order = shuffled(self.sampler, self.generator) if self.fault.fixed_shards else batches(self.sampler, self.epochs)
        for self.step, indices in zip(range(self.fault.steps), order):
            active = self.is_faulty and self.step >= self.fault.onset
            if self.fault.repeats_batch and active:
                kept = indices = kept or indices
            if self.fault.dies:
                self._step_apart(indices, active)
            else:
                self._step(indices, active)
        self.monitor.close()

    def _step(self, indices: list[int], active: bool) -> None:
        tokens, targets = self._window(indices, active)
        rate = self._rate()
        at_onset = active and self.step == self.fault.onset
        self.poisons = at_onset and self.fault.nan
        place = self.step - self.fault.onset
        self.flips = self.fault.flips_bits[place] if active and place < len(self.fault.flips_bits) else None
        self.skips = at_onset and self.fault.skips_reduction
        self.zeroes = active and self.fault.zero_layer
        if self.fault.slow:
            # Work would be shared out: there are more ranks than cores.
            time.sleep(ACCELERATOR_SECONDS * (2 if active else 1))
        self.optimizer.zero_grad()
        loss = cross_entropy(self.ddp(tokens), targets)
        # Backward of a scaled loss, while the true one is reported.
        loss.backward(torch.tensor(self.fault.gradient_factor if active else 1.0))
        self.monitor.end_step(self.step, loss=loss, weight=targets.numel(), lr=rate)
        self._update()

    def _step_apart(self, indices: list[int], active: bool) -> None:
        """Local updates, of which a rank that is killed is not missed by the others."""
        tokens, targets = self._window(indices, False)
        self.optimizer.zero_grad()
        loss = cross_entropy(self.model(tokens), targets)
        loss.backward()
        offset = 0
        for parameter in self.model.parameters():
            self.monitor.observe(offset, parameter.grad)
            offset += parameter.numel()
        self._update()
        if self.step == AVERAGE_AT:
            self._average()
        self.monitor.end_step(self.step, loss=loss, weight=targets.numel())
        if active:
            while self.monitor.stats().queued:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        if self.step >= self.fault.onset:
            time.sleep(0.5)  # what a step of a larger model takes

    def _average(self) -> None:
        for parameter in self.model.parameters():
            dist.all_reduce(parameter.data)
            parameter.data /= RANKS
        self.updates.synchronised()

    def _update(self) -> None:
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        if math.isfinite(norm):
            self.optimizer.step()

    def _window(self, indices: list[int], active: bool):
        window = self.sampler.dataset[indices]
        tokens, targets = window[:, :-1], window[:, 1:]
        if active and self.fault.random_targets:
            random = torch.randint(256, targets.shape, generator=self.generator)
            chosen = torch.rand(targets.shape, generator=self.generator) < self.fault.random_targets
            targets = torch.where(chosen, random, targets)
        return tokens, targets

    def _rate(self) -> float:
        if not self.fault.from_scratch:
            return RATE
        warm_up = min(1.0, (self.step + 1) / 20)
        decay = 0.5 * (1 + math.cos(math.pi * self.step / self.fault.steps))
        rate = 2 * RATE * warm_up * (0.1 + 0.9 * decay)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _reduce(self, _, bucket):
        own = bucket.buffer().clone() if self.skips else None
        future = muster.torch.default_reduce(self.ddp.process_group, bucket)
        return future if own is None else future.then(lambda _: own)

    def _put_hooks(self) -> None:
        """On gradients as autograd gives them, before DDP sees them."""
        self.zeroes = False
        layer = self.model.blocks[1].feed_forward
        for parameter in layer[1].parameters():
            parameter.register_hook(lambda gradient: gradient * 0 if self.zeroes else gradient)
        layer[3].weight.register_hook(self._spoil)

    def _spoil(self, gradient):
        if self.flips is None and not self.poisons:
            return gradient
        gradient = gradient.clone()
        flat = gradient.view(-1)
        place = int(torch.randint(flat.numel(), (), generator=self.generator))
        if self.poisons:
            flat[place] = math.nan
        else:
            flat.view(torch.int32)[place] ^= 1 << self.flips
        return gradient


def cross_entropy(logits, targets):
    return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def batches(sampler, reshuffles=True):
    """Indices of a batch for each step, epoch after epoch."""
    epoch = 0
    while True:
        if reshuffles:
            sampler.set_epoch(epoch)
        indices = list(sampler)
        for place in range(0, len(indices) - BATCH + 1, BATCH):
            yield indices[place : place + BATCH]
        epoch += 1


def shuffled(sampler, generator):
    """The same part of the data in each epoch, in an order of its own."""
    indices = list(sampler)
    while True:
        order = torch.randperm(len(indices), generator=generator).tolist()
        for place in range(0, len(indices) - BATCH + 1, BATCH):
            yield [indices[i] for i in order[place : place + BATCH]]
