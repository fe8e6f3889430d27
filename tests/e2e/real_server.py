"""A real server of another project, started for a test."""

import os
import subprocess
import urllib.request

from conftest import wait_for
from processes import free_address


class RealServer:
    """A server with its data in `folder`, on `address` (HOST:PORT) over all its starts.

    Of a subclass: `program` is its command, `ready` the path that answers when it serves; `arguments()` are asked for
    at each start.
    """

    program = None
    ready = None

    def __init__(self, folder):
        self.folder = folder
        self.address = free_address()
        self.process = None

    def arguments(self):
        raise NotImplementedError

    def start(self):
        """Again after stop() or kill(), with the data that it had."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, *self.arguments()], stdout=log, stderr=log, env={**os.environ, "GOMAXPROCS": "1"}
            )
        wait_for(self._is_ready, f"{self.program} to be ready", timeout=60)

    @property
    def _log(self):
        return self.folder / f"{self.program}.log"

    def _is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.program} exited:\n{self._log.read_text()}")
        try:
            with urllib.request.urlopen(f"http://{self.address}{self.ready}", timeout=1):
                return True
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        return self.process.wait(30)

    def kill(self):
        self.process.kill()
        return self.process.wait()
