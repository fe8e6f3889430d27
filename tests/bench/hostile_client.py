"""What a hostile client costs the ranks of others, and the daemon's memory.

Usage: /usr/bin/python3 tests/bench/hostile_client.py [--build build/release] [--seconds 15] [--json FILE]
           [--only idle,half_open,large,partial,run_names,deaf_http] [--limits YAML] [--nice 19]

One daemon with TLS, tokens and rules, on loopback. Eight ranks of team a report a step, wait for the
acknowledgement, and go on; the time that took is their delay. Alone, before and after; and beside a sender of team b (who has a good
token, for runs of its own only) and somebody without one, both at 127.0.0.2, who for as long do all of this at once:
connections that stay idle or stop in the middle of the handshake, messages of 1 MiB, run names by the
hundred thousand, messages of 1 MiB that never end, HTTP answers that are never read.

The hostile ones are a process of their own, of the lowest priority, for on another machine they would not take
the processors from daemon and ranks; they run whenever these leave one idle. What the kernel does for them on loopback, and
what the caches suffer, still counts. `--only busy` is the control: as many threads that only compute, and connect to nobody.
"""

import argparse
import json
import os
import pathlib
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import grpc

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "e2e"), str(ROOT / "client" / "python")]

from protobuf_bytes import field, varint  # noqa: E402

RANKS = 8
ATTACKER = "127.0.0.2"
TEAM_A, TEAM_B = "team-a-team-a-team-a", "team-b-team-b-team-b"
CONNECTIONS = 10_000
RUN_NAMES = 1_000_000
PARTIAL = 1000  # of one connection, which may have 1,024


def hello(source, run):
    incarnation = varint(5 << 3 | 1) + (source + 1).to_bytes(8, "little")
    sketch = field(6, field(1, 1) + field(2, 64))
    return field(1, field(1, source) + field(2, run.encode()) + field(4, 1) + incarnation + sketch)


class Http2:
    """As much of HTTP/2 as it takes to stop in the middle of a message."""

    DATA, HEADERS, SETTINGS, WINDOW_UPDATE = 0, 1, 4, 8

    def __init__(self, connection, token):
        self._connection, self._token = connection, token
        self._windows = {0: 65535}
        connection.settimeout(1)
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self._send(self.SETTINGS, 0, 0, b"")

    def _send(self, kind, flags, stream, body):
        head = len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
        self._connection.sendall(head + body)

    def _read(self, size):
        out = b""
        while len(out) < size:
            some = self._connection.recv(size - len(out))
            if not some:
                raise OSError("closed")
            out += some
        return out

    def _take_frame(self):
        head = self._read(9)
        body = self._read(int.from_bytes(head[:3], "big"))
        stream = int.from_bytes(head[5:], "big")
        if head[3] == self.WINDOW_UPDATE:
            self._windows[stream] = self._windows.get(stream, 65535) + int.from_bytes(body, "big")
        if head[3] == self.SETTINGS and not head[4]:
            self._send(self.SETTINGS, 1, 0, b"")

    def begin_message(self, stream, size):
        """All of a message but its end, or as much as is taken within a second."""

        def literal(name, value):
            return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value

        self._send(self.HEADERS, 4, stream, b"\x83\x87" + literal(b":authority", b"localhost")
                   + literal(b":path", b"/muster.v1.Telemetry/Stream")
                   + literal(b"content-type", b"application/grpc") + literal(b"te", b"trailers")
                   + literal(b"authorization", b"Bearer " + self._token.encode()))
        left = b"\0" + size.to_bytes(4, "big") + bytes(size - 64)
        while left:
            most = min(self._windows[0], self._windows.get(stream, 65535), 16384, len(left))
            if most <= 0:
                try:
                    self._take_frame()
                except TimeoutError:
                    return
                continue
            self._send(self.DATA, 0, stream, left[:most])
            for each in (0, stream):
                self._windows[each] = self._windows.get(each, 65535) - most
            left = left[most:]


class Ranks:
    """Eight ranks of one run; `delays` in seconds, from end_step to the acknowledgement."""

    def __init__(self, address, run, **named):
        import muster

        self._monitors = [
            muster.start(address, run, rank, RANKS, flush_timeout=5, **named)
            for rank in range(RANKS)
        ]
        self._step = 0

    def run_for(self, seconds):
        delays, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            begin = time.perf_counter()
            for monitor in self._monitors:
                monitor.end_step(self._step, loss=1.0)
            self._step += 1
            waiting = list(self._monitors)
            while waiting:
                waiting = [m for m in waiting if m.stats().acknowledged < self._step]
                time.sleep(0.0005)
            delays.append(time.perf_counter() - begin)
            time.sleep(0.02)
        return sorted(delays)

    def finish(self):
        complete = all(m.stats().acknowledged == self._step for m in self._monitors)
        for monitor in self._monitors:
            monitor.close()
        return complete


class Attack:
    """All at once, until `stop`."""

    KINDS = ("idle", "half_open", "large", "partial", "run_names", "deaf_http")

    def __init__(self, grpc_address, http_address, ca, kinds=KINDS):
        self._grpc, self._http, self._ca = grpc_address, http_address, ca
        self.counts = {}
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._loop, args=(getattr(self, kind),), daemon=True)
            for kind in kinds
        ]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _count(self, what, by=1):
        self.counts[what] = self.counts.get(what, 0) + by

    def _loop(self, kind):
        while not self._stop.is_set():
            try:
                kind()
            except (OSError, grpc.RpcError, StopIteration):
                self._count(kind.__name__ + " errors")
                self._stop.wait(0.01)

    def _connect(self, address):
        host, port = address.rsplit(":", 1)
        return socket.create_connection((host, int(port)), 5, source_address=(ATTACKER, 0))

    def _hold(self, address, first, most):
        """Opens connections, sends `first`, and keeps them."""
        held = []
        while not self._stop.is_set():
            if len(held) < most:
                held.append(self._connect(address))
                held[-1].sendall(first)
                self._count("connections")
            else:
                # Those that the daemon has closed are opened again.
                held = [each for each in held if not self._closed(each)]
                self._stop.wait(0.1)
        for each in held:
            each.close()

    @staticmethod
    def _closed(connection):
        try:
            connection.setblocking(False)
            return connection.recv(1) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def idle(self):
        self._hold(self._grpc, b"", CONNECTIONS // 2)

    def half_open(self):
        # The first bytes of a ClientHello that never goes on.
        self._hold(self._grpc, bytes.fromhex("1603010200010001fc0303"), CONNECTIONS // 2)

    def _channel(self):
        credentials = grpc.ssl_channel_credentials(pathlib.Path(self._ca).read_bytes())
        return grpc.secure_channel(
            self._grpc, credentials, [("grpc.use_local_subchannel_pool", 1)]
        )

    def _stream(self, messages):
        with self._channel() as channel:
            call = channel.stream_stream("/muster.v1.Telemetry/Stream")
            for _ in call(messages, metadata=[("authorization", f"Bearer {TEAM_B}")]):
                if self._stop.is_set():
                    return

    def large(self):
        # As long as is allowed, and nothing that anybody knows.
        message = field(15, bytes((1 << 20) - 64))

        def messages():
            while not self._stop.is_set():
                self._count("MiB")
                yield message

        self._stream(messages())

    def partial(self):
        context = ssl.create_default_context(cafile=self._ca)
        context.check_hostname = False
        context.set_alpn_protocols(["h2"])
        http2 = Http2(context.wrap_socket(self._connect(self._grpc)), TEAM_B)
        for number in range(PARTIAL):
            if self._stop.is_set():
                return
            http2.begin_message(2 * number + 1, (1 << 20) - 64)
            self._count("messages without an end")
        self._stop.wait()

    def run_names(self):
        def messages():
            for number in range(RUN_NAMES):
                if self._stop.is_set():
                    return
                self._count("run names")
                # Half of them its own, half of them not.
                yield hello(number + 1, f"team-{'ab'[number % 2]}-{number}")

        self._stream(messages())

    def busy(self):
        while not self._stop.is_set():
            self._count("sums", sum(range(1000)) > 0)

    def deaf_http(self):
        context = ssl.create_default_context(cafile=self._ca)
        context.check_hostname = False
        held = []
        while not self._stop.is_set() and len(held) < 400:
            raw = self._connect(self._http)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            secure = context.wrap_socket(raw, server_hostname="localhost")
            secure.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
                           + TEAM_B.encode() + b"\r\n\r\n")
            held.append(secure)
            self._count("deaf readers")
        self._stop.wait(1)


def attack(grpc_address, http_address, ca, kinds, nice):
    """The process of the hostile ones: until its standard input ends."""
    os.nice(int(nice))
    attack = Attack(grpc_address, http_address, ca, kinds.split(","))
    sys.stdin.read()
    attack.stop()
    print(json.dumps(attack.counts), flush=True)
    os._exit(0)  # gRPC may wait for ever


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=ROOT / "build" / "release", type=pathlib.Path)
    parser.add_argument("--seconds", default=15, type=float)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--only", default=",".join(Attack.KINDS))
    parser.add_argument("--limits", default="max_connections_per_peer: 256")
    parser.add_argument("--nice", default=19, type=int)
    given = parser.parse_args()
    os.environ["MUSTER_LIBRARY"] = str(given.build / "client" / "libmuster.so")
    from authority import Authority
    import conftest

    conftest.BUILD = given.build
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        authority = Authority(folder)
        authority.vouch("daemon", "DNS:localhost,IP:127.0.0.1")
        (folder / "tokens").write_text(f"a: {TEAM_A}\nb: {TEAM_B}\n")
        (folder / "a").write_text(TEAM_A)
        (folder / "config.yaml").write_text(
            f"tls: {{cert_file: {folder}/daemon.pem, key_file: {folder}/daemon.key}}\n"
            f"auth:\n  tokens_file: {folder}/tokens\n  rules:\n"
            "  - {identity: 'token:a', runs: 'team-a-*'}\n"
            "  - {identity: 'token:b', runs: 'team-b-*'}\n"
            f"limits: {{{given.limits}}}\n"
        )
        daemon = conftest.Musterd(folder, f"--config={folder}/config.yaml")
        try:
            ranks = Ranks(
                "tls://" + daemon.grpc, "team-a-1",
                ca_file=str(authority.ca), token_file=str(folder / "a"),
            )
            ranks.run_for(3)
            alone = ranks.run_for(given.seconds / 2)
            before = resident(daemon.process.pid)
            spent = processor_seconds(daemon.process.pid)
            hostile = subprocess.Popen(
                [sys.executable, __file__, "--attack", daemon.grpc, daemon.http,
                 str(authority.ca), given.only, str(given.nice)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            peak = [before]

            def watch():
                while not done.wait(0.1):
                    peak.append(resident(daemon.process.pid))

            done = threading.Event()
            watcher = threading.Thread(target=watch)
            watcher.start()
            beside = ranks.run_for(given.seconds)
            spent = processor_seconds(daemon.process.pid) - spent
            done.set()
            watcher.join()
            counts = json.loads(hostile.communicate(timeout=60)[0])
            ranks.run_for(1)
            alone = sorted(alone + ranks.run_for(given.seconds / 2))
            complete = ranks.finish()
        finally:
            daemon.stop()
    p99 = [round(1000 * each[int(0.99 * len(each))], 2) for each in (alone, beside)]
    result = {
        "alone_p99_ms": p99[0],
        "beside_p99_ms": p99[1],
        "ratio": round(p99[1] / p99[0], 2),
        "steps_alone": len(alone),
        "steps_beside": len(beside),
        "all_acknowledged": complete,
        "resident_before_mib": round(before, 1),
        "resident_peak_mib": round(max(peak), 1),
        "daemon_processors": round(spent / given.seconds, 2),
        **counts,
    }
    for key, value in result.items():
        print(f"{key}: {value}")
    if given.json:
        given.json.write_text(json.dumps(result))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--attack"]:
        attack(*sys.argv[2:])
    main()
