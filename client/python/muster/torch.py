"""Muster for PyTorch's DistributedDataParallel.

``watch`` registers a communication hook that looks at each bucket of the local
gradient before the all-reduce. It changes nothing: the reduction that follows
is the one that DDP would have run, to the bit.
"""

from __future__ import annotations

import logging
import weakref
from typing import Any, Callable, NamedTuple, Optional

import torch
import torch.distributed as dist

from muster import _device, _training
from muster._waiting import ForwardWaits
from muster.replicas import LocalUpdates, check_replicas
from muster.samples import watch_loader, watch_sampler

__all__ = [
    "LocalUpdates",
    "check_replicas",
    "default_reduce",
    "watch",
    "watch_loader",
    "watch_sampler",
]

_log = logging.getLogger("muster")


class _Segment(NamedTuple):
    """`count` elements at `bucket_offset` of a bucket belong at `flat_offset`
    of the flat gradient."""

    bucket_offset: int
    flat_offset: int
    count: int


def watch(
    monitor: Any,
    ddp: torch.nn.parallel.DistributedDataParallel,
    hook: Optional[Callable[[Any, Any], torch.futures.Future]] = None,
    state: Any = None,
    scaler: Any = None,
    optimizer: Any = None,
) -> None:
    """Lets `monitor` see each bucket's local gradient before the all-reduce.

    hook, state: your own communication hook, called as hook(state, bucket) after
        the look; by default what DDP does without any hook.
    scaler: the GradScaler in use; reported norms are divided by the scale in
        force during the backward pass.
    optimizer: the optimizer in use; its hyperparameters are stated as a fact, and
        the learning rate of its first group is reported with each step unless
        end_step is given one.

    Where a hook is registered already the model is left alone, with a warning.
    Raises ValueError if rank or size of the model's process group are not those
    of the monitor.
    """
    group = ddp.process_group
    rank, size = dist.get_rank(group), dist.get_world_size(group)
    if (rank, size) != (monitor.rank, monitor.world_size):
        raise ValueError(
            f"watch: the model's process group has rank {rank} of {size}, "
            f"the monitor was started as rank {monitor.rank} of {monitor.world_size}"
        )
    if not monitor.enabled:
        if hook is not None:
            ddp.register_comm_hook(state, hook)
        return

    observer = _Observer(monitor, ddp, scaler)

    # No annotations: DDP compares them with types, and here they are strings.
    def observe_then_reduce(_, bucket):
        observer.observe(bucket)
        return default_reduce(group, bucket) if hook is None else hook(state, bucket)

    if getattr(ddp, "_comm_hooks", None):
        registered = True
    else:
        try:
            ddp.register_comm_hook(None, observe_then_reduce)
            registered = False
        except RuntimeError as error:
            if "once" not in str(error):
                raise
            registered = True
    if registered:
        _log.warning(
            "muster: the model has a communication hook already and is not watched; "
            "pass it to watch(hook=, state=) instead of registering it"
        )
        return
    observer.waits = ForwardWaits(monitor, ddp)
    observer.state_facts()
    _training.follow(monitor, ddp, optimizer)


def default_reduce(
    group: dist.ProcessGroup, bucket: dist.GradBucket
) -> torch.futures.Future[torch.Tensor]:
    """Averages a bucket exactly as DDP does where no hook is registered.

    DDP's reducer multiplies each gradient by 1/size as it copies it into the
    bucket, then sums. Dividing by size, as torch's own allreduce_hook does,
    differs in the last bit unless size is a power of two.

    Sparse gradients DDP divides, and so does this. It also divides gradients
    that lie in the bucket already, as with gradient_as_bucket_view where
    gradients are kept between steps; a hook cannot tell those, and then each
    rank's share may differ by one unit in the last place (never where size is a
    power of two).
    """
    gradient = bucket.buffer()
    size = dist.get_world_size(group)
    if gradient.is_sparse:
        gradient.div_(size)
    else:
        gradient.mul_(1.0 / size)
    work = dist.all_reduce(gradient, group=group, async_op=True)
    return work.get_future().then(lambda future: future.value()[0])


class _Observer:
    """Maps buckets back to the flat gradient and hands them to the monitor.

    The flat gradient holds all unique parameters, frozen ones too, in
    named_parameters() order, each in memory order: the position of an element
    does not depend on the order of buckets, which changes after the first step.
    """

    def __init__(self, monitor: Any, ddp: torch.nn.Module, scaler: Any) -> None:
        self._monitor = monitor
        self._scaler = scaler
        # DDP keeps the hook for its lifetime: no way back to it from here.
        self._module = weakref.ref(ddp.module)
        # The parameters are held so that an id() stays theirs.
        self._parameters = [parameter for _, parameter in ddp.module.named_parameters()]
        self._offsets: dict[int, int] = {}
        self._count = 0
        for parameter in self._parameters:
            self._offsets[id(parameter)] = self._count
            self._count += parameter.numel()
        self._segments: dict[tuple[int, ...], list[_Segment]] = {}
        self._modules = list(ddp.module.modules())[1:]
        self._mode: Optional[tuple[bool, int]] = None
        self._warned = False
        self.waits: Optional[ForwardWaits] = None

    def observe(self, bucket: dist.GradBucket) -> None:
        """Never raises, never changes the bucket."""
        try:
            self._observe(bucket)
        except Exception as error:
            if not self._warned:
                self._warned = True
                _log.warning("muster: a gradient was not observed: %r (said once)", error)

    def _observe(self, bucket: dist.GradBucket) -> None:
        if bucket.index() == 0:
            self._state_module_mode()
        gradient = bucket.buffer()
        if gradient.is_sparse:
            raise TypeError("sparse gradients are not observed")
        scale = {}
        if self._scaler is not None and self._scaler.is_enabled():
            scale["grad_scale"] = self._scale()
        segments = self._segments_of(bucket, gradient.numel())
        gradient = gradient.detach()
        for bucket_offset, flat_offset, count in segments:
            chunk = gradient[bucket_offset : bucket_offset + count]
            self._monitor.observe(flat_offset, chunk, **scale)
        if self.waits is not None:
            self.waits.observed()

    def _scale(self) -> Any:
        # get_scale() would wait for the device. The scaler writes to its tensor
        # at update(), perhaps before the step's end is told.
        on_device = getattr(self._scaler, "_scale", None)
        if isinstance(on_device, torch.Tensor) and _device.is_on_device(on_device):
            return on_device.detach().clone()
        return self._scaler.get_scale()

    def _segments_of(self, bucket: dist.GradBucket, size: int) -> list[_Segment]:
        # Buckets are recognised by their parameters. bucket.gradients() is not
        # used: it misreads parameters that are not in C order.
        parameters = bucket.parameters()
        key = tuple(map(id, parameters))
        segments = self._segments.get(key)
        if segments is None:
            segments = []
            position = 0
            for parameter in parameters:
                count = parameter.numel()
                segments.append(_Segment(position, self._offsets[id(parameter)], count))
                position += count
            if position != size:
                raise ValueError(f"a bucket of {size} elements has parameters of {position}")
            self._segments[key] = segments
        return segments

    def state_facts(self) -> None:
        """What should agree on all ranks and is known here. Never raises."""
        try:
            types = sorted({str(p.dtype).replace("torch.", "") for p in self._parameters})
            self._monitor.facts(
                torch_version=torch.__version__,
                parameter_dtype=",".join(types),
                flat_parameter_count=self._count,
            )
            if self._monitor.parameter_count not in (0, self._count):
                _log.warning(
                    "muster: start() was told of %d parameters, the model has %d",
                    self._monitor.parameter_count,
                    self._count,
                )
        except Exception as error:
            _log.warning("muster: facts of the model were not stated: %r", error)

    def _state_module_mode(self) -> None:
        module = self._module()
        if module is None:
            return
        others = sum(part.training != module.training for part in self._modules)
        if self._mode == (module.training, others):
            return
        self._mode = (module.training, others)
        mode, other = ("train", "eval") if module.training else ("eval", "train")
        if others:
            mode += f", {others} of {len(self._modules)} parts {other}"
        self._monitor.facts(module_mode=mode)
