"""Real text that every machine with Python has: the standard library's source."""

import pathlib
import sysconfig

import numpy
import torch
from torch.utils.data import Dataset


class StandardLibrary(Dataset):
    """Windows of `length` + 1 bytes, cut one after another from each file.

    Files come in the order of their names, so an index means the same sample on
    every rank.
    """

    def __init__(self, length: int) -> None:
        folder = pathlib.Path(sysconfig.get_paths()["stdlib"])
        size = length + 1
        windows = []
        for path in sorted(folder.glob("*.py")):
            data = numpy.fromfile(path, dtype=numpy.uint8)
            count = len(data) // size
            windows.append(data[: count * size].reshape(count, size))
        self._windows = torch.from_numpy(numpy.concatenate(windows))

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, index) -> torch.Tensor:
        """Bytes as integers; a list of indices gives a batch."""
        return self._windows[index].long()
