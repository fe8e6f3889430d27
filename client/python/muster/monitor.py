"""One rank's monitor: what a training script holds and calls."""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import json
import logging
import math
import os
import re
import weakref
from typing import Any, Callable, Iterable, Mapping, Optional

from muster import _buffers, _device, _library

_log = logging.getLogger("muster")

_RUN_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_MAX_SAMPLE_IDS = 4096
_MASK_64 = 2**64 - 1


@dataclasses.dataclass(frozen=True)
class Alert:
    """An alert that fires now for this run, as the daemon tells it."""

    id: int
    kind: str  # "RankOutlier", "DuplicateShard", …
    subject: str  # what of its kind it is about: "loss", "sampler_seed", …
    ranks: tuple[int, ...]  # ranks concerned; empty if the run as a whole
    first_step: int  # first and last step with evidence
    last_step: int
    value: float  # what was seen and what was expected
    expected: float
    evidence: str  # one sentence
    silent: bool  # the global mean loss looks as ever
    severity: str = ""  # "info", "warning", "critical"; empty: not told
    explained_by: int = 0  # id of the alert that may explain this; 0: none


@dataclasses.dataclass(frozen=True)
class Stats:
    """Counts of reports since ``start``."""

    made: int = 0  # by end_step
    sent: int = 0  # written to a stream, re-sent ones again
    acknowledged: int = 0  # settled by the daemon
    dropped: int = 0  # pushed out of a full ring, or left at close
    queued: int = 0  # in the ring now
    refused: int = 0  # by the daemon
    reconnects: int = 0  # streams opened after the first
    device_dropped: int = 0  # steps whose device gave no gradient
    connected: bool = False
    superseded: bool = False  # a newer start of this rank took over


def _never_raises(method: Callable[..., Any]) -> Callable[..., Any]:
    """Training goes on whatever happens here: failures are logged once each."""

    @functools.wraps(method)
    def guarded(self: "Monitor", *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            self._warn_once(method.__name__, f"{method.__name__} failed: {error!r}")
            return None

    return guarded


class Monitor:
    """Reports of one rank. Made by ``start``; meant for the training thread.

    Memory is bounded: when the daemon is away the newest reports are kept, the
    oldest dropped and counted. A copy in a forked child does nothing.
    """

    def __init__(
        self,
        rank: int,
        world_size: int,
        client: Optional[_library.Client] = None,
        run_id: Optional[str] = None,
        parameter_count: int = 0,
        on_alert: Optional[Callable[[Alert], None]] = None,
    ) -> None:
        self.rank = rank
        self.world_size = world_size
        self.run_id = run_id
        # Elements of the flat gradient as stated at start; 0 if not stated.
        self.parameter_count = parameter_count
        self._client = client
        self._on_alert = on_alert
        self._process = os.getpid()
        self._warned: set[str] = set()
        self._grad_scale: Any = None
        # Once device memory has to be copied: what is on its way.
        self._copies: Optional[_device.Copies] = None
        self._cuda_device: Optional[int] = None  # that the library reads
        self._kept: Any = None
        self._sources: list[Callable[[int], Optional[Mapping[str, Any]]]] = []
        self._generation = 0
        self._fired: set[int] = set()
        if client is not None:
            self._generation = _library.load().muster_alerts_generation(client)
            # A script that ends without close() still flushes and says goodbye.
            self._close = weakref.finalize(self, client.close)

    @property
    def enabled(self) -> bool:
        """False without an address, after ``close`` and in a forked child."""
        return self._client is not None and self._process == os.getpid()

    @_never_raises
    def observe(self, offset: int, data: Any, grad_scale: Optional[float] = None) -> None:
        """Sketches elements [offset, offset + size) of this step's local gradient.

        `data` is a torch tensor, a NumPy array or a buffer; it is read in memory
        order and not kept. Chunks come in any order, each element once a step:
        what a step that ended by an exception has left counts for the next one,
        whose direction is then not judged, unless `discard_step` forgets it.
        `grad_scale` is the loss scale that the gradient carries.
        """
        if not self.enabled:
            return
        if grad_scale is not None:
            on_device = _device.is_on_device(grad_scale)
            self._grad_scale = grad_scale if on_device else float(grad_scale)
        if self._copies is None and _device.is_on_device(data):
            if self._observe_on_device(offset, data):
                return
            self._copies = _device.Copies()
        if self._copies is not None:
            self._copies.observe(offset, data)
        else:
            self._observe_on_host(offset, data)

    def _observe_on_host(self, offset: int, data: Any) -> None:
        view = _buffers.view(data)
        status = _library.load().muster_observe(
            self._client, offset, view.address, view.count, view.type
        )
        self._check(status, "observe")

    def _observe_on_device(self, offset: int, data: Any) -> bool:
        """False if the library cannot read it."""
        if not _device.is_cuda(data):
            return False
        view = _buffers.view(data)
        device, stream = _device.cuda_stream(data)
        status = _library.load().muster_observe_device(
            self._client, offset, view.address, view.count, view.type, device, stream
        )
        if status == _library.UNAVAILABLE:
            return False
        if self._check(status, "observe"):
            self._cuda_device = device
        return True

    @_never_raises
    def observe_parameters(self, group: int, offset: int, data: Any) -> None:
        """Fingerprints and sketches elements [offset, offset + size) of the
        parameters, for this step's report. `group`: 0 … 31, fingerprinted
        together. All ranks make the same calls (``muster.torch.check_replicas``
        does)."""
        if not self._takes_parameters():
            return
        view = _buffers.view(data.detach().cpu() if _device.is_on_device(data) else data)
        status = _library.load().muster_observe_parameters(
            self._client, group, offset, view.address, view.count, view.type
        )
        self._check(status, "observe_parameters")

    @_never_raises
    def observe_change(self, offset: int, data: Any) -> None:
        """Sketches elements [offset, offset + size) of the parameters' change
        since the ranks last agreed (``muster.torch.LocalUpdates`` does)."""
        if not self._takes_parameters():
            return
        view = _buffers.view(data.detach().cpu() if _device.is_on_device(data) else data)
        status = _library.load().muster_observe_change(
            self._client, offset, view.address, view.count, view.type
        )
        self._check(status, "observe_change")

    def _takes_parameters(self) -> bool:
        if not self.enabled:
            return False
        if self._copies is not None:
            # Reports are made later than their step then, each rank in its time.
            self._warn_once(
                "parameters",
                "parameters are not observed: the library cannot read the gradients' device",
            )
            return False
        return True

    def at_end_step(self, source: Callable[[int], Optional[Mapping[str, Any]]]) -> None:
        """`source(step)` is called first in each ``end_step``, and may return
        arguments of it, which count where the caller gives none."""
        if self.enabled:
            self._sources.append(source)

    @_never_raises
    def end_step(
        self,
        step: int,
        loss: Any = None,
        weight: Any = None,
        lr: Any = None,
        grad_scale: Any = None,
        sample_ids: Optional[Iterable[int]] = None,
        replica_fingerprint: Optional[int] = None,
        epoch: Optional[int] = None,
        sample_limit: Optional[int] = None,
        sample_ids_are_batches: bool = False,
    ) -> None:
        """Queues this step's report and calls `on_alert` for new alerts.

        step: number of the optimizer step, 0 … 2⁶², ascending.
        loss: this rank's own training loss, a number or a tensor of one element
            of any floating type; one on a device is not waited for.
        weight: samples or tokens behind the loss, > 0.
        lr: learning rate in force; should agree on all ranks. A weight or learning
            rate on a device is left out: reading it would wait for the device.
        grad_scale: loss scale that the gradients carry, > 0; norms are divided by it.
            Out of range, it takes the norm with it.
        sample_ids: ids of the samples drawn for this step; the first 4,096 count.
        replica_fingerprint: 64-bit hash of the parameters after the update.
        epoch: that of sample_ids, so that the daemon accounts for them by epoch.
        sample_limit: given where only ids whose mix64 is below it are recorded.
        sample_ids_are_batches: sample_ids are hashes of whole batches.
        """
        if not self.enabled:
            return
        found = self._ask_sources(step)
        lr = found.get("lr") if lr is None else lr
        if sample_ids is None and "sample_ids" in found:
            sample_ids = found["sample_ids"]
            epoch = found.get("epoch")
            sample_limit = found.get("sample_limit")
            sample_ids_are_batches = found.get("sample_ids_are_batches", False)
        report = _library.Step()
        report.struct_size = ctypes.sizeof(_library.Step)
        report.step = step
        report.waited_seconds = found.get("waited_seconds", 0.0)
        scale = grad_scale if grad_scale is not None else self._grad_scale
        self._grad_scale = None
        on_device = {
            field: value
            for field, value in (("loss", loss), ("gradient_scale", scale))
            if _device.is_on_device(value)
        }
        for field, value in (
            ("loss", loss),
            ("weight", weight),
            ("learning_rate", lr),
            ("gradient_scale", scale),
        ):
            number = None if field in on_device else self._number(field, value)
            if number is not None:
                setattr(report, field, number)
                setattr(report, f"has_{field}", 1)
        if replica_fingerprint is not None:
            report.replica_fingerprint = int(replica_fingerprint) & _MASK_64
            report.has_replica_fingerprint = 1
        if _device.is_on_device(sample_ids):
            self._warn_once(
                "sample_ids",
                "end_step: sample_ids are left out: reading them would wait for their device",
            )
            sample_ids = None
        if sample_ids is not None:
            # ctypes keeps the array alive for as long as `report` points to it.
            ids = self._sample_ids(sample_ids)
            report.sample_ids = ctypes.cast(ids, ctypes.POINTER(ctypes.c_uint64))
            report.sample_id_count = len(ids)
            report.sample_ids_are_batches = int(sample_ids_are_batches)
            if epoch is not None:
                report.epoch, report.has_epoch = int(epoch), 1
            if sample_limit is not None:
                report.sample_limit, report.has_sample_limit = int(sample_limit), 1
        for field in [field for field, value in on_device.items() if value.numel() != 1]:
            self._warn_once(field, f"end_step: {field} is left out: not one number")
            del on_device[field]
        if self._copies is None and any(
            _device.index(value) != self._cuda_device for value in on_device.values()
        ):
            self._copies = _device.Copies()
        if self._copies is None:
            self._read_on_device(report, **on_device)
            self._send(report)
        else:
            report.observed_late = 1  # copies come after the all-reduce
            self._copies.end_step(report, on_device)
            self._send_copied(self._copies.take())
        self._tell_alerts()

    def _read_on_device(
        self, report: _library.Step, loss: Any = None, gradient_scale: Any = None
    ) -> None:
        """Tells the library where the numbers are; nobody asks for them here."""
        # Kept for a step: by then the reads have been queued long ago.
        self._kept = []
        if loss is not None:
            view = _buffers.scalar(loss.detach())
            report.device_loss, report.device_loss_type = view.address, view.type
            report.device, report.stream = _device.cuda_stream(loss)
            self._kept.append(view.owner)
        if gradient_scale is not None:
            view = _buffers.view(gradient_scale.detach().float())
            report.device_gradient_scale = view.address
            report.device, report.stream = _device.cuda_stream(gradient_scale)
            self._kept.append(view.owner)

    def _send(self, report: _library.Step) -> None:
        library = _library.load()
        self._check(library.muster_end_step(self._client, ctypes.byref(report)), "end_step")

    def _send_copied(self, steps: Iterable[_device.CopiedStep]) -> None:
        for step in steps:
            for offset, data in step.gradient():
                self._observe_on_host(offset, data)
            for field, value in step.numbers():
                number = self._number(field, value)
                if number is not None:
                    setattr(step.report, field, number)
                    setattr(step.report, f"has_{field}", 1)
            self._send(step.report)

    @_never_raises
    def discard_step(self) -> None:
        """Forgets what was observed since the last `end_step`, without a report.

        For a step that ended by an exception which training survives, or whose
        gradient is thrown away.
        """
        if not self.enabled:
            return
        self._grad_scale = None
        # What the library holds is this step's, unless an earlier one waits.
        if self._copies is None or not self._copies.discard():
            self._check(_library.load().muster_discard_step(self._client), "discard_step")

    def facts(self, **facts: Any) -> None:
        """States values that all ranks should share, from the next report on.

        At most 64 names of up to 64 bytes, values up to 256 bytes as text.
        """
        self._state(facts, shown_only=False)

    def show_facts(self, **facts: Any) -> None:
        """As ``facts``, for what is displayed but need not agree, such as the
        seed of a random-number generator."""
        self._state(facts, shown_only=True)

    @_never_raises
    def _state(self, facts: Mapping[str, Any], shown_only: bool) -> None:
        if not self.enabled:
            return
        for name, value in facts.items():
            self._check(self._state_one(name, value, shown_only), f"fact {name}")

    def _state_one(self, name: str, value: Any, shown_only: bool) -> int:
        return _library.load().muster_fact(
            self._client, name.encode(), str(value).encode(), int(shown_only)
        )

    def alerts(self) -> list[Alert]:
        """What fires now for this run; empty when the daemon is unreachable."""
        return self._alerts() or []

    @_never_raises
    def _alerts(self) -> list[Alert]:
        if not self.enabled:
            return []
        library = _library.load()
        size = 4096
        while True:
            buffer = ctypes.create_string_buffer(size)
            needed = ctypes.c_size_t()
            status = library.muster_alerts(self._client, buffer, size, ctypes.byref(needed))
            if not self._check(status, "alerts"):
                return []
            if needed.value <= size:
                return [_alert(entry) for entry in json.loads(buffer.value or b"[]")]
            size = needed.value

    def stats(self) -> Stats:
        """Counts of reports made, sent, acknowledged, dropped, queued; zeros after close."""
        return self._stats() or Stats()

    @_never_raises
    def _stats(self) -> Stats:
        if not self.enabled:
            return Stats()
        counts = _library.StatsStruct()
        counts.struct_size = ctypes.sizeof(counts)
        status = _library.load().muster_stats(self._client, ctypes.byref(counts))
        if not self._check(status, "stats"):
            return Stats()
        return Stats(
            **{
                field.name: type(field.default)(getattr(counts, field.name))
                for field in dataclasses.fields(Stats)
            }
        )

    @_never_raises
    def close(self) -> None:
        """Flushes for at most the flush timeout and says goodbye. Idempotent."""
        if self._client is not None:
            try:
                if self._copies is not None and self.enabled:
                    self._send_copied(self._copies.take_last())
            finally:
                self._client = None
                self._sources.clear()
                self._close()

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def _ask_sources(self, step: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for number, source in enumerate(self._sources):
            try:
                found.update(source(step) or {})
            except Exception as error:
                self._warn_once(f"source {number}", f"end_step: {source!r} failed: {error!r}")
        return found

    def _tell_alerts(self) -> None:
        if self._on_alert is None:
            return
        generation = _library.load().muster_alerts_generation(self._client)
        if generation == self._generation:
            return
        self._generation = generation
        firing = self.alerts()
        began = [alert for alert in firing if alert.id not in self._fired]
        self._fired = {alert.id for alert in firing}
        for alert in began:
            self._on_alert(alert)

    def _number(self, field: str, value: Any) -> Optional[float]:
        if value is None:
            return None
        if _device.is_on_device(value):
            self._warn_once(
                field,
                f"end_step: {field} is left out: reading it would wait for its device; "
                "give a number",
            )
            return None
        try:
            return float(value.detach().item() if hasattr(value, "detach") else value)
        except Exception as error:
            self._warn_once(field, f"end_step: {field} is left out: {error!r}")
            return None

    def _sample_ids(self, sample_ids: Iterable[int]) -> ctypes.Array:
        ids = sample_ids.tolist() if hasattr(sample_ids, "tolist") else list(sample_ids)
        ids = [int(sample) & _MASK_64 for sample in ids[:_MAX_SAMPLE_IDS]]
        return (ctypes.c_uint64 * len(ids))(*ids)

    def _check(self, status: int, what: str) -> bool:
        if status == _library.OK:
            return True
        self._warn_once(what, f"{what}: {_library.last_error(_library.load())}")
        return False

    def _warn_once(self, key: str, message: str) -> None:
        if key not in self._warned:
            self._warned.add(key)
            _log.warning("muster: rank %s: %s (said once)", self.rank, message)


def _alert(entry: Mapping[str, Any]) -> Alert:
    return Alert(
        id=int(entry["id"]),
        kind=entry["kind"],
        subject=entry.get("subject", ""),
        ranks=tuple(entry.get("ranks", ())),
        first_step=int(entry.get("first_step", 0)),
        last_step=int(entry.get("last_step", 0)),
        value=_number(entry.get("value")),
        expected=_number(entry.get("expected")),
        evidence=entry.get("evidence", ""),
        silent=bool(entry.get("silent", False)),
        severity=entry.get("severity", ""),
        explained_by=int(entry.get("explained_by", 0)),
    )


def _number(value: Optional[float]) -> float:
    """JSON has no NaN or infinity: null stands for both."""
    return math.nan if value is None else float(value)


def _path(path: Optional[str]) -> Optional[bytes]:
    return None if path is None else os.fsencode(path)


def start(
    address: Optional[str] = None,
    run_id: Optional[str] = None,
    rank: Optional[int] = None,
    world_size: Optional[int] = None,
    *,
    parameter_count: int = 0,
    sketch_width: int = 1024,
    ring_capacity: int = 256,
    flush_timeout: float = 2.0,
    facts: Optional[Mapping[str, Any]] = None,
    on_alert: Optional[Callable[[Alert], None]] = None,
    ca_file: Optional[str] = None,
    cert_file: Optional[str] = None,
    key_file: Optional[str] = None,
    token_file: Optional[str] = None,
) -> Monitor:
    """Starts this rank's monitor; never waits for the daemon.

    address: HOST:PORT, unix:PATH or tls://HOST:PORT; else MUSTER_ADDRESS. Without
        one the monitor does nothing and says so once.
    run_id: [A-Za-z0-9._:-]{1,128}, the same on all ranks; else MUSTER_RUN_ID, else
        TORCHELASTIC_RUN_ID unless "none", else SLURM_JOB_ID.
    rank, world_size: of the data-parallel group; else RANK and WORLD_SIZE, else one
        rank alone.
    parameter_count: elements of the flat gradient, frozen ones too; 0 if unknown.
    sketch_width: power of two, 64 … 65536, the same on all ranks. The standard
        error of a cosine is about 1/√width, a report about 2·width bytes.
    ring_capacity: reports kept through an outage of the daemon, 1 … 65536.
    flush_timeout: longest that close() waits, in seconds.
    facts: values that all ranks should share, as for ``Monitor.facts``.
    on_alert: called with each Alert that begins to fire, inside ``end_step`` only.
    ca_file, cert_file, key_file: for tls://, in PEM form: whom to trust, a certificate
        to show, its key; else MUSTER_CA_FILE, MUSTER_CERT_FILE and MUSTER_KEY_FILE.
    token_file: holds a token to show; else MUSTER_TOKEN_FILE. Over tls://, unix: or to
        a loopback address alone: anything else is a ValueError.

    Raises ValueError for wrong arguments, never for an unreachable daemon; OSError
    if libmuster.so cannot be loaded.
    """
    address = os.environ.get("MUSTER_ADDRESS", "") if address is None else address
    rank, world_size = _rank_and_size(rank, world_size)
    if run_id is None:
        run_id = _run_id_of_environment()
    if run_id is not None and not _RUN_ID.fullmatch(run_id):
        raise ValueError(f"run_id: {run_id!r} is not [A-Za-z0-9._:-]{{1,128}}")
    _check_range("parameter_count", parameter_count, 0, 2**62)
    _check_range("sketch_width", sketch_width, 64, 65536)
    if sketch_width & (sketch_width - 1):
        raise ValueError(f"sketch_width: {sketch_width} is not a power of two")
    _check_range("ring_capacity", ring_capacity, 1, 65536)
    _check_range("flush_timeout", flush_timeout, 0, 3600)
    if not address:
        if rank == 0:
            _log.warning("muster: no address (argument or MUSTER_ADDRESS): nothing is reported")
        return Monitor(rank, world_size, run_id=run_id)
    if run_id is None:
        raise ValueError(
            "run_id: not given, and none of MUSTER_RUN_ID, TORCHELASTIC_RUN_ID, SLURM_JOB_ID is set"
        )

    library = _library.load()
    options = _library.Options(
        struct_size=ctypes.sizeof(_library.Options),
        address=address.encode(),
        run_id=run_id.encode(),
        rank=rank,
        world_size=world_size,
        sketch_width=sketch_width,
        parameter_count=parameter_count,
        ring_capacity=ring_capacity,
        # 0 would mean the default.
        flush_timeout_ms=max(1, round(flush_timeout * 1000)),
        ca_file=_path(ca_file),
        cert_file=_path(cert_file),
        key_file=_path(key_file),
        token_file=_path(token_file),
    )
    handle = ctypes.c_void_p()
    if library.muster_start(ctypes.byref(options), ctypes.byref(handle)) != _library.OK:
        raise ValueError(_library.last_error(library))
    client = _library.Client(library, handle)
    monitor = Monitor(rank, world_size, client, run_id, parameter_count, on_alert)
    for name, value in (facts or {}).items():
        if monitor._state_one(name, value, shown_only=False) != _library.OK:
            error = _library.last_error(library)
            monitor.close()
            raise ValueError(f"facts: {error}")
    return monitor


def _run_id_of_environment() -> Optional[str]:
    elastic = os.environ.get("TORCHELASTIC_RUN_ID")
    return (
        os.environ.get("MUSTER_RUN_ID")
        or (elastic if elastic != "none" else None)
        or os.environ.get("SLURM_JOB_ID")
        or None
    )


def _rank_and_size(rank: Optional[int], world_size: Optional[int]) -> tuple[int, int]:
    rank = _number_of_environment("RANK") if rank is None else rank
    world_size = _number_of_environment("WORLD_SIZE") if world_size is None else world_size
    if rank is None and world_size is None:
        return 0, 1
    if rank is None or world_size is None:
        name, variable = ("rank", "RANK") if rank is None else ("world_size", "WORLD_SIZE")
        raise ValueError(f"{name}: not given, and {variable} is not set")
    _check_range("world_size", world_size, 1, 2**32 - 1)
    _check_range("rank", rank, 0, world_size - 1)
    return rank, world_size


def _number_of_environment(name: str) -> Optional[int]:
    text = os.environ.get(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not a number") from None


def _check_range(name: str, value: Any, lowest: float, highest: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name}: {value!r} is not a number")
    if not lowest <= value <= highest:
        raise ValueError(f"{name}: {value} is outside {lowest} … {highest}")
