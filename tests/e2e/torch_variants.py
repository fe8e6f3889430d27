"""Small models and ways of training that stress how DDP fills its buckets."""

import contextlib
import copy
import dataclasses

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


class Net(nn.Module):
    """Convolutions, a tied weight, a branch that a step may leave unused."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.body = nn.Conv2d(8, 16, 3, stride=2)
        self.side = nn.Linear(16, 16)
        self.mix = nn.Linear(16, 16, bias=False)
        self.again = self.mix  # tied: one parameter, two names
        self.head = nn.Linear(16, 10)

    def forward(self, images, use_side=True):
        x = self.body(torch.tanh(self.stem(images))).mean((2, 3))
        if use_side:
            x = x + torch.tanh(self.side(x))
        return self.head(torch.tanh(self.again(torch.tanh(self.mix(x)))))


@dataclasses.dataclass(frozen=True)
class Variant:
    ddp: dict = dataclasses.field(default_factory=dict)
    micro_batches: int = 1
    frozen: tuple = ()
    channels_last: bool = False
    skips_side: bool = False


VARIANTS = {
    "plain": Variant(),
    "no_sync": Variant(micro_batches=3),
    "static_graph": Variant(ddp={"static_graph": True}),
    "find_unused_parameters": Variant(ddp={"find_unused_parameters": True}, skips_side=True),
    "frozen": Variant(frozen=("stem.weight", "head.bias")),
    "channels_last": Variant(channels_last=True),
}
BUCKET_VIEW = Variant(ddp={"gradient_as_bucket_view": True})


def build(variant):
    """The same model on every rank, and its DDP with several small buckets."""
    torch.manual_seed(7)
    model = Net()
    for name, parameter in model.named_parameters():
        if name in variant.frozen:
            parameter.requires_grad_(False)
    if variant.channels_last:
        model = model.to(memory_format=torch.channels_last)
    # The first bucket would otherwise hold up to 1 MiB, which is all of it.
    dist._DEFAULT_FIRST_BUCKET_BYTES = 512
    ddp = DistributedDataParallel(model, bucket_cap_mb=2048 / 2**20, **variant.ddp)
    return model, ddp


def micro_batches(variant, rank, step):
    """This rank's data of a step: (images, targets, use_side) of each micro-batch."""
    generator = torch.Generator().manual_seed(1_000 * step + rank)
    for _ in range(variant.micro_batches):
        images = torch.randn(4, 3, 9, 9, generator=generator)
        targets = torch.randint(10, (4,), generator=generator)
        if variant.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        # On some steps some ranks, on others all, leave the branch unused.
        use_side = not variant.skips_side or (step % 3 != 0 and (step + rank) % 2 == 0)
        yield images, targets, use_side


def backward(model, variant, rank, step):
    """One step's forward and backward passes; DDP synchronises in the last one."""
    batches = list(micro_batches(variant, rank, step))
    for index, (images, targets, use_side) in enumerate(batches):
        last = index == len(batches) - 1
        with contextlib.nullcontext() if last or not hasattr(model, "no_sync") else model.no_sync():
            loss = nn.functional.cross_entropy(model(images, use_side), targets)
            loss.backward()


def train(variant, rank, steps, prepare=lambda ddp: None, each_step=lambda model, step: None):
    """Parameters after `steps` of SGD with momentum; `prepare(ddp)` comes first."""
    model, ddp = build(variant)
    prepare(ddp)
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=0.05, momentum=0.9
    )
    for step in range(steps):
        optimizer.zero_grad(set_to_none=step % 2 == 0)
        each_step(model, step)
        backward(ddp, variant, rank, step)
        optimizer.step()
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def local_gradient(model, variant, rank, step):
    """The flat gradient that this rank's data gives without DDP, NaN where a
    parameter is frozen, in memory order, computed on a copy."""
    twin = copy.deepcopy(model)
    for parameter in twin.parameters():
        parameter.grad = None
    backward(twin, variant, rank, step)
    pieces = []
    for parameter in twin.parameters():
        if not parameter.requires_grad:
            piece = torch.full((parameter.numel(),), float("nan"))
        elif parameter.grad is None:
            piece = torch.zeros(parameter.numel())
        else:
            # Elements in the order in which the parameter itself lies in memory.
            places = torch.empty_like(parameter, dtype=torch.long)
            storage_order = torch.arange(parameter.numel())
            places.as_strided((parameter.numel(),), (1,)).copy_(storage_order)
            piece = torch.empty(parameter.numel())
            piece[places.flatten()] = parameter.grad.flatten()
        pieces.append(piece)
    return torch.cat(pieces)
