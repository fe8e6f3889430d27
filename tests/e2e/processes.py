"""Training scripts as processes of their own, and what the daemon saw of them."""

import os
import pathlib
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time

from conftest import ROOT, wait_for

EXIT_SECONDS = 1.5  # for what an exit costs beside the flush, on a busy machine

# What every script begins with. A gradient of norm 5 for each step.
PRELUDE = """
import array, os, signal, sys, threading, time
import muster

GRADIENT = array.array("f", [3.0, 0.0, 4.0])

def train(monitor, first, last):
    for step in range(first, last):
        monitor.observe(0, GRADIENT)
        monitor.end_step(step, loss=1.0)
    print("trained to", last, flush=True)

def wait_until(condition):
    while not condition():
        time.sleep(0.005)

def use(monitor):
    # All that a training script may call.
    monitor.observe(0, GRADIENT)
    monitor.end_step(10**6, loss=2.0)
    monitor.discard_step()
    monitor.facts(a=1)
    monitor.alerts(), monitor.stats(), monitor.close()

def exit_status(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


class Script:
    """`text` as a running Python program, in a process group of its own.

    Output goes to files: a pipe that a stray child inherits would never end.
    """

    def __init__(self, folder, text, address="", run="run", rank=0, world_size=1, **environment):
        self.folder = folder
        self._output, self._errors = folder / "output", folder / "errors"
        file = folder / "script.py"
        file.write_text(PRELUDE + text)
        with open(self._output, "wb") as output, open(self._errors, "wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, str(file)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                cwd=folder,
                start_new_session=True,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT / "client" / "python"),
                    "MUSTER_ADDRESS": address,
                    "MUSTER_RUN_ID": run,
                    "RANK": str(rank),
                    "WORLD_SIZE": str(world_size),
                    "MALLOC_PERTURB_": "165",  # freed memory that is used shows
                    **environment,
                },
            )
        self.pid = self._process.pid

    @property
    def output(self):
        return self._output.read_text()

    @property
    def errors(self):
        return self._errors.read_text()

    def send(self, number):
        self._process.send_signal(number)

    def wait(self, timeout=30.0):
        """The exit status, −n for signal n; afterwards no child is left."""
        try:
            status = self._process.wait(timeout)
            wait_for(self._is_alone, "the script's children to end", timeout=5)
            return status
        except (subprocess.TimeoutExpired, TimeoutError) as error:
            raise AssertionError(f"{error}\n{self.output}\n{self.errors}") from None
        finally:
            self.kill()

    def finish(self, output, status=0, errors=""):
        """Waits for the end that a healthy script has, saying just this."""
        ended = self.wait()
        said = (ended, self.output, self.errors)
        assert said == (status, output, errors), said

    def kill(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()

    def _is_alone(self):
        for process in filter(str.isdigit, os.listdir("/proc")):
            try:
                stat = pathlib.Path("/proc", process, "stat").read_text()
            except OSError:
                continue
            state, _, group = stat.rpartition(")")[2].split()[:3]
            # Who reaps an orphan may take its time.
            if int(group) == self.pid and state != "Z":
                return False
        return True


class Relay(socketserver.ThreadingTCPServer):
    """Passes connections on to a daemon and counts them: a Hello that a child
    sent would need one of its own, or break its parent's."""

    daemon_threads = True

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self.connections = 0
        super().__init__(("127.0.0.1", 0), None)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def finish_request(self, request, client_address):
        self.connections += 1
        with socket.create_connection(self._target) as onward:
            back = threading.Thread(target=_pump, args=(onward, request), daemon=True)
            back.start()
            _pump(request, onward)
            back.join()


def _pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        # A reset is passed on as an end: nobody is left to read the rest.
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Listener:
    """A port where connections are taken by the kernel and never read."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self):
        self._socket.close()


def free_address():
    """HOST:PORT where nobody listens."""
    listener = Listener()
    listener.close()
    return listener.address


def ranks_of(musterd, run="run"):
    return musterd.get(f"/api/v1/runs/{run}/ranks")["ranks"]


def left(musterd):
    """The only rank once it is gone, else None."""
    (rank,) = ranks_of(musterd)
    return None if rank["connected"] else rank


def only_parent_reported(musterd, relay, parent, steps, departed=True):
    """One process, one incarnation, one connection, and each step once."""
    rank = wait_for(lambda: left(musterd), "the rank to be gone")
    assert rank["pid"] == parent.pid
    assert rank["departed"] == departed
    assert rank["reportsDropped"] == "0"
    assert causes_of(musterd) == ["start"]
    assert steps_of(musterd) == list(range(steps))
    assert relay.connections == 1


def steps_of(musterd, run="run"):
    """The steps of all frames, in the order in which they were judged."""
    steps = musterd.get(f"/api/v1/runs/{run}/steps", limit=4096)["steps"]
    return [int(step["step"]) for step in steps]


def causes_of(musterd, run="run"):
    """Why each attempt of the run began: one word for each incarnation."""
    (listed,) = [entry for entry in musterd.get("/api/v1/runs")["runs"] if entry["run"] == run]
    return [attempt["cause"] for attempt in listed["attempts"]]


def seconds_since(moment):
    """From `moment`, a script's own time.monotonic(), which all processes share."""
    return time.monotonic() - moment
