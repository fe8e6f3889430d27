"""Where the numbers of a tensor, array or buffer lie in memory."""

from __future__ import annotations

import array
import ctypes
from typing import Any, NamedTuple

from muster import _library

_TORCH_TYPES = {
    "torch.float32": _library.FLOAT32,
    "torch.float16": _library.FLOAT16,
    "torch.bfloat16": _library.BFLOAT16,
}
_NUMPY_TYPES = {"float32": _library.FLOAT32, "float16": _library.FLOAT16}
_BUFFER_TYPES = {"f": _library.FLOAT32, "e": _library.FLOAT16}


class View(NamedTuple):
    """`count` elements of `type` at `address`, alive as long as `owner` is."""

    address: int
    count: int
    type: int
    owner: Any


def view(data: Any) -> View:
    """The elements of `data` in memory order, as float32, float16 or bfloat16.

    Takes a torch tensor, on a device too, a NumPy array or whatever has the
    buffer protocol. Other element types become float32. The
    memory order of a dense tensor is that of its storage, whatever its strides.
    """
    if hasattr(data, "data_ptr"):
        return _view_tensor(data)
    if hasattr(data, "__array_interface__"):
        return _view_array(data)
    return _view_buffer(memoryview(data))


def scalar(tensor: Any) -> View:
    """A tensor of one element, also as float64."""
    if str(tensor.dtype) == "torch.float64":
        return View(tensor.data_ptr(), 1, _library.FLOAT64, tensor)
    return _view_tensor(tensor)


def _view_tensor(data: Any) -> View:
    tensor = data.detach()
    if str(tensor.dtype) not in _TORCH_TYPES:
        tensor = tensor.float()
    if not tensor.is_contiguous():
        strides = tensor.stride()
        order = sorted(range(tensor.dim()), key=lambda axis: strides[axis], reverse=True)
        in_storage = tensor.permute(order)
        tensor = in_storage if in_storage.is_contiguous() else tensor.contiguous()
    return View(tensor.data_ptr(), tensor.numel(), _TORCH_TYPES[str(tensor.dtype)], tensor)


def _view_array(data: Any) -> View:
    if data.dtype.name not in _NUMPY_TYPES:
        data = data.astype("float32")
    flat = data.ravel(order="K")
    return View(flat.ctypes.data, flat.size, _NUMPY_TYPES[flat.dtype.name], flat)


def _view_buffer(data: memoryview) -> View:
    if data.format not in _BUFFER_TYPES or not data.contiguous:
        data = memoryview(array.array("f", data.tolist()))
    count = data.nbytes // data.itemsize
    memory = ctypes.c_char * data.nbytes
    owner = memory.from_buffer_copy(data) if data.readonly else memory.from_buffer(data)
    return View(ctypes.addressof(owner), count, _BUFFER_TYPES[data.format], owner)
