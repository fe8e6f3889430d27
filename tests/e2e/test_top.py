"""`muster top` in a terminal: what a person sees, and what the keys do."""

import re
import subprocess

import pytest
from conftest import wait_for
from terminal import MUSTER, Terminal


@pytest.fixture
def top(musterd):
    terminals = []

    def start(*arguments, **settings):
        terminals.append(Terminal("--address", musterd.grpc, "top", *arguments, **settings))
        return terminals[-1]

    yield start
    for terminal in terminals:
        try:
            terminal.end()
        except (ChildProcessError, OSError):
            pass


def simulate(musterd, run, *arguments):
    subprocess.run(
        [MUSTER, "--address", musterd.grpc, "simulate", run, "--sketch-width=64", *arguments],
        check=True,
        capture_output=True,
        timeout=60,
    )


def test_no_run_then_one_and_its_ranks(musterd, top):
    terminal = top("--interval=0.2")
    terminal.wait_for("No run yet: musterd waits for ranks")
    simulate(musterd, "lm", "--steps=300", "--ranks=6", "--fault=loss-shift:3:200:4")
    terminal.wait_for("lm: ended at step 299|lm +299")
    terminal.press(b"\r")
    terminal.wait_for(r"RANK  HOST")
    terminal.wait_for(r"^ +3  .*█")
    assert terminal.ranks()[0] == 3, "the rank that deviates most comes first"
    terminal.press(b"s")
    terminal.wait_for(r"sort \(rank\)")
    wait_for(lambda: terminal.ranks() == [0, 1, 2, 3, 4, 5], "ranks in order")
    terminal.press(b"r")
    wait_for(lambda: terminal.ranks() == [5, 4, 3, 2, 1, 0], "ranks the other way round")
    terminal.press(b"m")
    terminal.wait_for(r"gradient_norm against the others")
    terminal.press(b"?")
    terminal.wait_for("back to the list of runs")
    terminal.press(b"?q")
    assert terminal.wait_for_exit() == 0


def test_a_smaller_terminal_shows_what_fits_and_scrolls(musterd, top):
    simulate(musterd, "wide", "--steps=150", "--ranks=48")
    terminal = top("wide", "--sort=rank", "--interval=0.2")
    terminal.wait_for(r"^ +0  ")
    terminal.resize(70, 16)
    wait_for(lambda: len(terminal.ranks()) < 10 and max(map(len, terminal.lines())) <= 70, "the smaller screen")
    assert terminal.ranks()[0] == 0
    terminal.press(b"\x1bOF")  # End
    wait_for(lambda: terminal.ranks()[-1:] == [47], "the last rank")


def test_colours_unless_no_color(musterd, top):
    simulate(musterd, "lm", "--steps=50")
    coloured = top("lm")
    coloured.wait_for("ended at step 49")
    plain = top("lm", environment={"NO_COLOR": "1"}.items())
    plain.wait_for("ended at step 49")
    silent = re.compile(rb"\x1b\[[0-9;]*3[0-7]m")
    assert not silent.search(plain.raw)
    musterd.stop()
    coloured.wait_for("no answer for")
    assert coloured.colour_of("no answer for") == "red"
    plain.wait_for("no answer for")
    assert plain.colour_of("no answer for") == "default"
    coloured.wait_for("^ +0  ")  # what was known stays


def test_once_prints_lines_for_a_file(musterd, tmp_path):
    simulate(musterd, "lm", "--steps=50", "--ranks=3")
    done = subprocess.run(
        [MUSTER, "--address", musterd.grpc, "top", "--once", "--width=100"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "lm: ended at step 49" in lines[1]
    assert "\x1b" not in done.stdout and max(map(len, lines)) <= 100
    assert sum(bool(re.match(r" +\d  ", line)) for line in lines) == 3
    no_terminal = subprocess.run(
        [MUSTER, "--address", musterd.grpc, "top"], capture_output=True, text=True, timeout=20, check=False
    )
    assert no_terminal.returncode == 2 and "--once" in no_terminal.stderr


def test_no_daemon_is_told(tmp_path):
    done = subprocess.run(
        [MUSTER, "--address=127.0.0.1:1", "top", "--once"], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 3 and "127.0.0.1:1" in done.stderr
