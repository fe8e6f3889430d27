"""The C ABI of libmuster.so (client/include/muster/muster.h) for ctypes."""

from __future__ import annotations

import ctypes
import functools
import os
import pathlib
from typing import Callable

OK = 0
INVALID_ARGUMENT = 1
UNAVAILABLE = 3

FLOAT32 = 0
FLOAT16 = 1
BFLOAT16 = 2
FLOAT64 = 3  # a loss on a device only


class Options(ctypes.Structure):
    """muster_options: zero means the default."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("address", ctypes.c_char_p),
        ("run_id", ctypes.c_char_p),
        ("rank", ctypes.c_uint32),
        ("world_size", ctypes.c_uint32),
        ("sketch_width", ctypes.c_uint32),
        ("sketch_seed", ctypes.c_uint64),
        ("parameter_count", ctypes.c_uint64),
        ("ring_capacity", ctypes.c_uint32),
        ("flush_timeout_ms", ctypes.c_uint32),
        ("ca_file", ctypes.c_char_p),
        ("cert_file", ctypes.c_char_p),
        ("key_file", ctypes.c_char_p),
        ("token_file", ctypes.c_char_p),
    ]


class Step(ctypes.Structure):
    """muster_step: a has_ field of 0 means absent."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("step", ctypes.c_uint64),
        ("has_loss", ctypes.c_int),
        ("has_weight", ctypes.c_int),
        ("has_learning_rate", ctypes.c_int),
        ("has_gradient_scale", ctypes.c_int),
        ("has_replica_fingerprint", ctypes.c_int),
        ("loss", ctypes.c_double),
        ("weight", ctypes.c_double),
        ("learning_rate", ctypes.c_double),
        ("gradient_scale", ctypes.c_double),
        ("replica_fingerprint", ctypes.c_uint64),
        ("sample_ids", ctypes.POINTER(ctypes.c_uint64)),
        ("sample_id_count", ctypes.c_size_t),
        ("device_loss", ctypes.c_void_p),
        ("device_loss_type", ctypes.c_int),
        ("device", ctypes.c_int),
        ("stream", ctypes.c_void_p),
        ("device_gradient_scale", ctypes.c_void_p),
        ("has_epoch", ctypes.c_int),
        ("has_sample_limit", ctypes.c_int),
        ("epoch", ctypes.c_uint64),
        ("sample_limit", ctypes.c_uint64),
        ("sample_ids_are_batches", ctypes.c_int),
        ("observed_late", ctypes.c_int),
        ("waited_seconds", ctypes.c_double),
    ]


class StatsStruct(ctypes.Structure):
    """muster_stats_t."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("made", ctypes.c_uint64),
        ("sent", ctypes.c_uint64),
        ("acknowledged", ctypes.c_uint64),
        ("dropped", ctypes.c_uint64),
        ("queued", ctypes.c_uint64),
        ("refused", ctypes.c_uint64),
        ("reconnects", ctypes.c_uint64),
        ("connected", ctypes.c_int),
        ("superseded", ctypes.c_int),
        ("device_dropped", ctypes.c_uint64),
    ]


def _candidates() -> list[str]:
    named = os.environ.get("MUSTER_LIBRARY")
    if named:
        return [named]
    package = pathlib.Path(__file__).resolve().parent
    paths = [package / "libmuster.so"]
    if len(package.parents) > 2:
        build = package.parents[2] / "build"
        paths += [build / preset / "client" / "libmuster.so" for preset in ("release", "dev")]
    # The bare name last: wherever the dynamic loader looks. Its link without a
    # number is there only where programs are compiled.
    return [str(path) for path in paths if path.exists()] + ["libmuster.so.1"]


@functools.lru_cache(maxsize=None)
def load() -> ctypes.CDLL:
    """Finds and loads libmuster.so; OSError that names the places if there is none."""
    errors = []
    for path in _candidates():
        try:
            return _declare(ctypes.CDLL(path))
        except OSError as error:
            errors.append(f"{path}: {error}")
    raise OSError(
        "libmuster.so cannot be loaded (set MUSTER_LIBRARY to its path): " + "; ".join(errors)
    )


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    handle = ctypes.c_void_p
    signatures = {
        "muster_start": (ctypes.c_int, [ctypes.POINTER(Options), ctypes.POINTER(handle)]),
        "muster_observe": (
            ctypes.c_int,
            [handle, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int],
        ),
        "muster_observe_device": (
            ctypes.c_int,
            [
                handle,
                ctypes.c_uint64,
                ctypes.c_void_p,
                ctypes.c_size_t,
                ctypes.c_int,
                ctypes.c_int,
                ctypes.c_void_p,
            ],
        ),
        "muster_observe_parameters": (
            ctypes.c_int,
            [
                handle,
                ctypes.c_uint32,
                ctypes.c_uint64,
                ctypes.c_void_p,
                ctypes.c_size_t,
                ctypes.c_int,
            ],
        ),
        "muster_observe_change": (
            ctypes.c_int,
            [handle, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int],
        ),
        "muster_end_step": (ctypes.c_int, [handle, ctypes.POINTER(Step)]),
        "muster_discard_step": (ctypes.c_int, [handle]),
        "muster_fact": (ctypes.c_int, [handle, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int]),
        "muster_stats": (ctypes.c_int, [handle, ctypes.POINTER(StatsStruct)]),
        "muster_alerts": (
            ctypes.c_int,
            [handle, ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_size_t)],
        ),
        "muster_alerts_generation": (ctypes.c_uint64, [handle]),
        "muster_close": (ctypes.c_int, [handle]),
        "muster_stop": (ctypes.c_int, [handle]),
        "muster_last_error": (ctypes.c_char_p, []),
        "muster_version": (ctypes.c_char_p, []),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


class Client:
    """A muster_client, as an argument of the functions that take one.

    Freed when nobody holds it any more: a call on another thread, or one that a
    signal handler has interrupted, may still use it while `close` returns.
    """

    def __init__(self, library: ctypes.CDLL, handle: ctypes.c_void_p) -> None:
        self._as_parameter_ = handle
        self._library = library
        self._process = os.getpid()

    def close(self) -> None:
        """Flushes and says goodbye. Idempotent; nothing in a forked child."""
        if self._process == os.getpid():
            self._library.muster_close(self)

    # Bound early: at the interpreter's end modules may be empty already.
    def __del__(self, process: Callable[[], int] = os.getpid) -> None:
        if self._process == process():
            self._library.muster_stop(self._as_parameter_)


def last_error(library: ctypes.CDLL) -> str:
    """One line about the last failure on this thread."""
    message = library.muster_last_error()
    return message.decode("utf-8", "replace") if message else "unknown error"
