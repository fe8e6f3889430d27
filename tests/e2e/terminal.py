"""`muster top` behind a pseudo-terminal, for tests and for pictures."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios

import pyte
from conftest import BUILD, wait_for

MUSTER = BUILD / "cli" / "muster"


class Terminal:
    """`muster top` behind a pseudo-terminal, whose screen can be read."""

    def __init__(self, *arguments, columns=150, rows=30, environment=()):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **dict(environment)})
            os.execv(MUSTER, [str(MUSTER), *arguments])
        self.resize(columns, rows)

    def resize(self, columns, rows):
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def press(self, keys):
        os.write(self.descriptor, keys)

    def lines(self):
        while select.select([self.descriptor], [], [], 0)[0]:
            try:
                data = os.read(self.descriptor, 65536)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            self.raw += data
            self.stream.feed(data)
        return [line.rstrip() for line in self.screen.display]

    def wait_for(self, pattern):
        """The first line that matches."""

        def found():
            return next((line for line in self.lines() if re.search(pattern, line)), None)

        try:
            return wait_for(found, pattern)
        except TimeoutError as error:
            raise AssertionError("\n".join(self.lines())) from error

    def ranks(self):
        """Ranks in the order of their rows."""
        return [int(line.split()[0]) for line in self.lines() if re.match(r" +\d+  \S+ .*(connected|left|lost)", line)]

    def colour_of(self, text):
        for y, line in enumerate(self.lines()):
            x = line.find(text)
            if x >= 0:
                return self.screen.buffer[y][x].fg
        raise AssertionError(text)

    def end(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        finally:
            os.close(self.descriptor)

    def wait_for_exit(self):
        def over():
            self.lines()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return (os.waitstatus_to_exitcode(status),) if pid else None

        return wait_for(over, "the end of muster top")[0]
