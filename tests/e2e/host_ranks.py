"""The training ranks of one host: a small model under DDP, whose monitor is there in every other block of steps.

usage: host_ranks.py FOLDER LIFE RANKS WORLD_SIZE FIRST_STEP RENDEZVOUS ADDRESS    (RANKS: 0,1,2,3)

Each rank writes what it did to FOLDER/rank-LIFE-RANK, a line for each event, with seconds of the monotonic clock:

    step TIME STEP REPORTED SECONDS   a step that began at TIME; SECONDS up to the end of end_step
    report TIME STEP LOSS             end_step has returned
    alert TIME KIND RANKS             on_alert was called
    end MADE ACKNOWLEDGED DROPPED QUEUED

The file FOLDER/break-RANK makes a rank report one loss that is not a number; FOLDER/stop ends all after a block.
"""

import os
import pathlib
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "client" / "python")]

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.parallel import DistributedDataParallel  # noqa: E402

import muster  # noqa: E402
import muster.torch  # noqa: E402

RUN = "three-hosts"
BLOCK = 6  # steps
BATCH, CONTEXT, WIDTH, HIDDEN = 32, 16, 64, 128
# Seconds of a step in which the host waits, as for an accelerator. The ranks share the test's few cores, and what each
# of them spends on anything else counts several times.
ON_DEVICE = 0.2


def is_reported(step):
    """Blocks with the monitor and without it are neighbours; either is the first of every other pair."""
    pair, second = divmod(step // BLOCK, 2)
    return bool(second) != bool(pair % 2)


class Switch:
    """Stands in for the DDP that watch() gives its hooks to, so that they can be left out for a while: what runs then
    is the same reduction without Muster."""

    def __init__(self, ddp):
        self.process_group, self.module = ddp.process_group, ddp.module
        self._ddp, self.on = ddp, False

    def register_comm_hook(self, state, hook):
        def reduce(_, bucket):
            return hook(state, bucket) if self.on else muster.torch.default_reduce(self.process_group, bucket)

        self._ddp.register_comm_hook(None, reduce)

    def register_forward_pre_hook(self, hook):
        return self._ddp.register_forward_pre_hook(lambda *arguments: hook(*arguments) if self.on else None)


def train(folder, life, rank, world_size, first_step, address):
    log = open(folder / f"rank-{life}-{rank}", "w", buffering=1)

    def heard(alert):
        ranks = ",".join(map(str, alert.ranks))
        log.write(f"alert {time.monotonic()} {alert.kind} {ranks}\n")

    torch.manual_seed(7)
    # The next byte from those before it.
    model = nn.Sequential(
        nn.Embedding(256, WIDTH),
        nn.Flatten(),
        nn.Linear(CONTEXT * WIDTH, HIDDEN),
        nn.GELU(),
        nn.Linear(HIDDEN, 256),
    )
    ddp = DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(rank)
    data = torch.randint(256, (64, BATCH, CONTEXT + 1), generator=generator)
    monitor = muster.start(address, RUN, rank, world_size, on_alert=heard, flush_timeout=10.0)
    switch = Switch(ddp)
    muster.torch.watch(monitor, switch)
    fault = folder / f"break-{rank}"
    step = first_step
    while True:
        if step % BLOCK == 0:
            stop = torch.tensor([float((folder / "stop").exists())])
            dist.all_reduce(stop)
            if stop.item():
                break
        batch = data[step % len(data)]
        breaks = fault.exists()
        switch.on = is_reported(step)
        started = time.monotonic()
        optimizer.zero_grad()
        time.sleep(ON_DEVICE)
        loss = nn.functional.cross_entropy(ddp(batch[:, :-1]), batch[:, -1])
        loss.backward()
        optimizer.step()
        if switch.on:
            told = torch.tensor(float("nan")) if breaks else loss
            monitor.end_step(step, loss=told, weight=BATCH)
        ended = time.monotonic()
        if switch.on:
            log.write(f"report {ended} {step} {told.item()!r}\n")
            if breaks:
                fault.unlink()
        log.write(f"step {started} {step} {int(switch.on)} {ended - started}\n")
        step += 1
    deadline = time.monotonic() + 30
    while monitor.stats().queued and time.monotonic() < deadline:
        time.sleep(0.05)
    stats = monitor.stats()
    log.write(f"end {stats.made} {stats.acknowledged} {stats.dropped} {stats.queued}\n")
    monitor.close()


def main():
    folder, life, ranks, world_size, first_step, rendezvous, address = sys.argv[1:]
    for rank in map(int, ranks.split(",")):
        if os.fork():
            continue
        status = 1
        try:
            torch.set_num_threads(1)
            method = f"tcp://{rendezvous}"
            dist.init_process_group("gloo", init_method=method, rank=rank, world_size=int(world_size))
            train(pathlib.Path(folder), life, rank, int(world_size), int(first_step), address)
            status = 0
        except BaseException:
            traceback.print_exc()
        # A monitor that is still there says goodbye when it is collected.
        sys.exit(status)
    statuses = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in ranks.split(",")]
    sys.exit(max(map(abs, statuses)))


if __name__ == "__main__":
    main()
