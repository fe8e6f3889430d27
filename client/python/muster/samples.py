"""Which samples a rank draws, so that the daemon can say which are drawn by
several ranks, which by none, and which twice by one."""

from __future__ import annotations

import collections
import copy
import ctypes
import hashlib
import logging
from typing import Any, Callable, Iterator, Mapping, Optional

import torch
from torch.utils import data

_log = logging.getLogger("muster")

# Ids of one report; the others follow with the next ones.
_MAX_REPORTED = 4096
# Ids that wait to be reported. Beyond it only those with low hashes are kept.
_MAX_WAITING = 65536
_MASK_64 = 2**64 - 1
# Bytes of each tensor of a batch that enter its hash.
_HASHED_BYTES = 65536


def watch_sampler(monitor: Any, sampler: Any, local_ids: bool = False) -> Any:
    """A sampler that draws as `sampler` does, and records what it draws.

        sampler = muster.torch.watch_sampler(monitor, DistributedSampler(dataset))
        loader = DataLoader(dataset, sampler=sampler, num_workers=4)

    Samples belong to the step in which they are drawn; worker processes draw ahead
    of the training, by num_workers × prefetch_factor batches. Each pass is an
    epoch: that of ``set_epoch`` if it is higher than those before, else the next.
    All that is not drawing (``set_epoch``, ``len``) goes to `sampler`.

    local_ids: indices are of data that only this rank has, such as its own files:
        the same index on two ranks is not the same sample.
    """
    if not monitor.enabled:
        return sampler
    draws = _Draws(monitor.rank if local_ids else None)
    _state_facts(monitor, sampler, local_ids)
    monitor.at_end_step(draws.take)
    return _WatchedSampler(sampler, draws)


def watch_loader(monitor: Any, loader: data.DataLoader, local_ids: bool = False) -> Any:
    """An iterable of the batches of `loader`, which records what is in them.

        loader = muster.torch.watch_loader(monitor, DataLoader(dataset, sampler=…))

    As ``watch_sampler``, but samples belong to the step before whose ``end_step``
    their batch was taken, whatever the workers draw ahead. Where the data set is a
    stream without indices, each batch is recorded by a hash of it.
    """
    if not monitor.enabled:
        return loader
    draws = _Draws(monitor.rank if local_ids else None)
    sampler = _sampler_of(loader)
    if sampler is not None:
        _state_facts(monitor, sampler, local_ids)
    monitor.at_end_step(draws.take)
    return _WatchedLoader(loader, draws, sampler)


def _sampler_of(loader: data.DataLoader) -> Any:
    """What chooses the samples; None for a stream."""
    if isinstance(loader.dataset, data.IterableDataset):
        return None
    if loader.batch_sampler is None:
        return loader.sampler
    return getattr(loader.batch_sampler, "sampler", loader.batch_sampler)


class _Draws:
    """Ids that wait for the reports of their steps."""

    def __init__(self, rank: Optional[int]) -> None:
        self._rank = rank  # where ids are this rank's own
        self._waiting: collections.deque[tuple[int, int]] = collections.deque()
        self._epoch = -1
        self._limit: dict[int, int] = {}  # by epoch, where there is one
        self.are_batches = False
        self._warned = False

    def next_epoch(self, stated: Any) -> int:
        """Of a pass that begins now; `stated` is what the sampler says, if it does."""
        stated = stated if isinstance(stated, int) else 0
        self._epoch = max(self._epoch + 1, stated)
        return self._epoch

    def add(self, epoch: int, index: Any) -> None:
        """What a sampler yields. Never raises."""
        self._record(epoch, _ids, index)

    def add_batch(self, epoch: int, batch: Any) -> None:
        """What a stream yields. Never raises."""
        self._record(epoch, _hashes, batch)

    def _record(self, epoch: int, ids_of: Callable[[Any], list[int]], drawn: Any) -> None:
        try:
            self._add(epoch, ids_of(drawn))
        except Exception as error:
            if not self._warned:
                self._warned = True
                _log.warning("muster: a sample was not recorded: %r (said once)", error)

    def _add(self, epoch: int, ids: list[int]) -> None:
        for each in ids:
            if self._rank is not None:
                each = _mix64(each ^ _mix64(self._rank + 1))
            if epoch in self._limit and _mix64(each) >= self._limit[epoch]:
                continue
            self._waiting.append((epoch, each))
        while len(self._waiting) > _MAX_WAITING:
            self._thin()

    def _thin(self) -> None:
        # The one that fills the queue: another would be thinned to nothing first.
        counts = collections.Counter(epoch for epoch, _ in self._waiting)
        ((epoch, _),) = counts.most_common(1)
        limit = self._limit.get(epoch, 2**64) // 2
        self._limit[epoch] = limit
        kept = [w for w in self._waiting if w[0] != epoch or _mix64(w[1]) < limit]
        self._waiting = collections.deque(kept)

    def take(self, step: int) -> Mapping[str, Any]:
        """Arguments of end_step: ids of one epoch, the oldest first."""
        if self._epoch < 0:
            return {}
        epoch = self._waiting[0][0] if self._waiting else self._epoch
        ids = []
        while self._waiting and self._waiting[0][0] == epoch and len(ids) < _MAX_REPORTED:
            ids.append(self._waiting.popleft()[1])
        for old in [known for known in self._limit if known < epoch]:
            del self._limit[old]
        return {
            "sample_ids": ids,
            "epoch": epoch,
            "sample_limit": self._limit.get(epoch),
            "sample_ids_are_batches": self.are_batches,
        }


class _WatchedSampler(data.Sampler):
    def __init__(self, sampler: Any, draws: _Draws) -> None:
        self._sampler = sampler
        self._draws = draws

    def __iter__(self) -> Iterator[Any]:
        epoch = self._draws.next_epoch(getattr(self._sampler, "epoch", None))
        for index in self._sampler:
            self._draws.add(epoch, index)
            yield index

    def __len__(self) -> int:
        return len(self._sampler)

    def __getattr__(self, name: str) -> Any:
        # Not while a copy is made, which has no attributes yet.
        if name == "_sampler":
            raise AttributeError(name)
        return getattr(self._sampler, name)


class _Recorder:
    """Passes the loader's batches of indices on, and keeps them for their batch."""

    def __init__(self, sampler: Any) -> None:
        self._sampler = sampler
        self.drawn: collections.deque[Any] = collections.deque()

    def __iter__(self) -> Iterator[Any]:
        for indices in self._sampler:
            self.drawn.append(indices)
            yield indices

    def __len__(self) -> int:
        return len(self._sampler)


class _WatchedLoader:
    def __init__(self, loader: data.DataLoader, draws: _Draws, sampler: Any) -> None:
        self._draws = draws
        self._sampler = sampler
        self._recorder: Optional[_Recorder] = None
        self._loader = loader
        draws.are_batches = sampler is None
        if sampler is not None:
            name = "sampler" if loader.batch_sampler is None else "batch_sampler"
            self._recorder = _Recorder(getattr(loader, name))
            self._loader = copy.copy(loader)
            # A loader refuses a new sampler, lest it change in use; this copy is
            # not in use.
            object.__setattr__(self._loader, name, self._recorder)

    def __iter__(self) -> Iterator[Any]:
        epoch = self._draws.next_epoch(getattr(self._sampler, "epoch", None))
        if self._recorder is not None:
            self._recorder.drawn.clear()
        for batch in self._loader:
            if self._recorder is None:
                self._draws.add_batch(epoch, batch)
            elif self._recorder.drawn:
                # Loaders give batches in the order in which they drew them.
                self._draws.add(epoch, self._recorder.drawn.popleft())
            yield batch

    def __len__(self) -> int:
        return len(self._loader)

    def __getattr__(self, name: str) -> Any:
        if name == "_loader":
            raise AttributeError(name)
        return getattr(self._loader, name)


def _state_facts(monitor: Any, sampler: Any, local_ids: bool) -> None:
    """What ranks should agree on: seed, kind, order, length of the data."""
    facts: dict[str, Any] = {"sampler": type(sampler).__name__}
    replacement = isinstance(sampler, data.WeightedRandomSampler) or bool(
        getattr(sampler, "replacement", False)
    )
    facts["sampling"] = ("with" if replacement else "without") + " replacement"
    shuffles = getattr(sampler, "shuffle", isinstance(sampler, data.RandomSampler))
    facts["sampler_shuffle"] = bool(shuffles)
    if isinstance(getattr(sampler, "seed", None), int):
        facts["sampler_seed"] = sampler.seed
    if isinstance(getattr(sampler, "num_replicas", None), int):
        facts["sampler_replicas"] = sampler.num_replicas
    if isinstance(getattr(sampler, "rank", None), int):
        monitor.show_facts(sampler_rank=sampler.rank)
    source = getattr(sampler, "dataset", getattr(sampler, "data_source", None))
    # Data that are this rank's own have a length of their own.
    if not local_ids:
        try:
            facts["dataset_length"] = len(source)
        except Exception:
            pass  # it has none, or does not know it
    monitor.facts(**facts)


def _ids(index: Any) -> list[int]:
    """64-bit ids of what a sampler yields: an index, or several."""
    if isinstance(index, int):
        return [index & _MASK_64]
    if hasattr(index, "tolist"):
        return _ids(index.tolist())
    if isinstance(index, (list, tuple)):
        return [each for part in index for each in _ids(part)]
    return [_digest(repr(index).encode())]


def _hashes(batch: Any) -> list[int]:
    """One, of the beginnings of a batch's dense tensors on the CPU; none if there
    is none."""
    digest = hashlib.blake2b(digest_size=8)
    hashed = 0
    waiting = [batch]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            waiting.extend(part.values())
        elif isinstance(part, (list, tuple)):
            waiting.extend(part)
        elif _is_dense_on_host(part):
            whole = part.detach().contiguous()
            size = min(whole.numel() * whole.element_size(), _HASHED_BYTES)
            digest.update(ctypes.string_at(whole.data_ptr(), size))
            hashed += size
    return [int.from_bytes(digest.digest(), "little")] if hashed else []


def _is_dense_on_host(part: Any) -> bool:
    return (
        isinstance(part, torch.Tensor)
        and part.device.type == "cpu"
        and part.layout is torch.strided
    )


def _digest(text: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _mix64(z: int) -> int:
    """SplitMix64's finalizer (docs/sketch.md)."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK_64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK_64
    return z ^ (z >> 31)
