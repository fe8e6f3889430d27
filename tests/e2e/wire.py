"""Hosts made of network namespaces, and the wire between them.

Their management network is a TUN device in each, whose packets a thread here passes on: late, lost or not at all, as
the test says. The kernel needs no queueing discipline for it, and the hosts' TCP sees what it would see on such a line. All
of it is the test's own: packets have nowhere else to go.
"""

import ctypes
import fcntl
import heapq
import os
import pathlib
import random
import select
import signal
import struct
import subprocess
import threading
import time
from concurrent import futures

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PREFIX = "muster-test-"

_libc = ctypes.CDLL(None, use_errno=True)


def why_not():
    """Why no hosts can be made here; empty if they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun"
    made = subprocess.run(["ip", "netns", "add", f"{PREFIX}{os.getpid()}-try"], capture_output=True, text=True)
    if made.returncode:
        return f"ip netns add: {made.stderr.strip()}"
    remove_hosts(os.getpid())
    return ""


def remove_hosts(owner):
    """Ends the processes in the namespaces that process `owner` has made, and removes them."""
    for place in pathlib.Path("/run/netns").glob(f"{PREFIX}{owner}-*"):
        pids = subprocess.run(["ip", "netns", "pids", place.name], capture_output=True, text=True).stdout
        for pid in map(int, pids.split()):
            # A thread of ours may be inside for a moment.
            if pid != os.getpid():
                os.kill(pid, signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", place.name], check=False)


def remove_leftovers():
    """Removes what tests that were killed have left."""
    for place in pathlib.Path("/run/netns").glob(f"{PREFIX}*"):
        owner = place.name.removeprefix(PREFIX).split("-")[0]
        if not os.path.exists(f"/proc/{owner}"):
            remove_hosts(owner)


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


class Host:
    """A network namespace with loopback and a TUN device, `address` on it."""

    def __init__(self, name, number):
        self.name = f"{PREFIX}{os.getpid()}-{name}"
        self.address = f"10.77.0.{number}"
        _ip("netns", "add", self.name)
        self.tun = self.inside(self._open_tun)
        _ip("-n", self.name, "address", "add", f"{self.address}/24", "dev", "wire")
        for device in ("lo", "wire"):
            _ip("-n", self.name, "link", "set", device, "up")

    def inside(self, function, *arguments, **named):
        """What `function` returns in a thread whose network is this host's, as is that of processes it starts."""

        def enter():
            with open(f"/run/netns/{self.name}", "rb") as place:
                if _libc.setns(place.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"setns to {self.name}")
            return function(*arguments, **named)

        with futures.ThreadPoolExecutor(1) as thread:
            return thread.submit(enter).result()

    @staticmethod
    def _open_tun():
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"wire", IFF_TUN | IFF_NO_PI))
        return tun


def join(one, other, subnet):
    """A network of their own for two hosts, as fast as the kernel: device "fabric", addresses `subnet`.1 and .2."""
    _ip("link", "add", "fabric", "netns", one.name, "type", "veth", "peer", "name", "fabric", "netns", other.name)
    for number, host in enumerate((one, other), 1):
        _ip("-n", host.name, "address", "add", f"{subnet}.{number}/24", "dev", "fabric")
        _ip("-n", host.name, "link", "set", "fabric", "up")


class Wire:
    """Passes packets between `hosts`. What a test may change at any time: `cut` (hosts that nothing reaches or leaves),
    `delay` (seconds each way), `loss` (share of packets). Thread-safe in that."""

    def __init__(self, hosts, seed=1):
        self.cut, self.delay, self.loss = frozenset(), 0.0, 0.0
        self.passed = self.lost = 0
        self._hosts = {bytes(map(int, host.address.split("."))): host for host in hosts}
        self._random = random.Random(seed)
        self._late = []  # (when due, order, sender, receiver, packet)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._stop.set()
        self._thread.join()
        for host in self._hosts.values():
            os.close(host.tun)

    def _run(self):
        tuns = {host.tun: host for host in self._hosts.values()}
        while not self._stop.is_set():
            wait = min(0.1, max(0.0, self._late[0][0] - time.monotonic())) if self._late else 0.1
            for tun in select.select(tuns, [], [], wait)[0]:
                self._take(tuns[tun])
            while self._late and self._late[0][0] <= time.monotonic():
                self._give(*heapq.heappop(self._late)[2:])

    def _take(self, sender):
        for _ in range(64):  # the others' turn
            try:
                packet = os.read(sender.tun, 65536)
            except BlockingIOError:
                return
            receiver = self._hosts.get(packet[16:20]) if packet[0] >> 4 == 4 else None
            if receiver is None:
                continue  # the kernel's own IPv6 announcements
            if self._random.random() < self.loss:
                self.lost += 1
            else:
                self.passed += 1
                heapq.heappush(self._late, (time.monotonic() + self.delay, self.passed, sender, receiver, packet))

    def _give(self, sender, receiver, packet):
        if self.cut & {sender, receiver}:
            return
        try:
            os.write(receiver.tun, packet)
        except OSError:
            self.lost += 1  # its queue is full, or it is gone
