"""How many connections each address may have, and how much of what it says may be refused."""

import socket
import threading

import grpc
import pytest
from conftest import Musterd, wait_for
from protobuf_bytes import field
from test_tls import metric, report

HOSTILE, LIMIT = "127.0.0.2", 20


@pytest.fixture(params=["central", "relay"])
def limited(request, tmp_path):
    """A daemon, or a relay before one, that takes LIMIT connections from an address."""
    config = tmp_path / "config.yaml"
    config.write_text(
        f"limits: {{max_connections_per_peer: {LIMIT}, max_sources_per_stream: 64}}\n"
    )
    flags = [f"--config={config}"]
    if request.param == "relay":
        flags.append(f"--upstream={request.getfixturevalue('musterd').grpc}")
    folder = tmp_path / "limited"
    folder.mkdir()
    daemon = Musterd(folder, *flags)
    yield daemon
    daemon.stop()


def connect(daemon, source=HOSTILE):
    host, port = daemon.grpc.rsplit(":", 1)
    return socket.create_connection((host, int(port)), 5, source_address=(source, 0))


def is_closed(connection, timeout=0.0):
    """Whether the daemon has ended it; what it said before does not count."""
    connection.settimeout(timeout)
    try:
        while connection.recv(4096):
            pass
    except (BlockingIOError, TimeoutError):
        return False
    except ConnectionResetError:
        pass
    return True


def test_who_has_too_many_is_closed_and_others_come_in(limited):
    held = [connect(limited) for _ in range(5 * LIMIT)]
    refused = 'muster_connections_refused_total{reason="peer"}'
    wait_for(lambda: metric(limited, refused) == 4 * LIMIT, "refusals")
    assert metric(limited, "muster_connections ") == LIMIT
    assert [is_closed(each, 0.2) for each in held] == [False] * LIMIT + [True] * (4 * LIMIT)
    assert report(limited.grpc).acknowledged == 3

    # A place is free again when its connection has ended, and not before.
    for each in held:
        each.close()
    wait_for(lambda: metric(limited, "muster_connections ") == 0, "places")
    again = [connect(limited) for _ in range(LIMIT)]
    wait_for(lambda: metric(limited, "muster_connections ") == LIMIT, "connections")
    assert not any(is_closed(each) for each in again)
    assert metric(limited, refused) == 4 * LIMIT
    assert limited.log.read_text().count("connection refused") == 1
    assert f"{HOSTILE} has {LIMIT} connections, limits.max_connections_per_peer" in (
        limited.log.read_text()
    )
    for each in again:
        each.close()


def test_a_place_is_free_at_once_for_who_comes_back(limited):
    held = [connect(limited) for _ in range(LIMIT)]
    wait_for(lambda: metric(limited, "muster_connections ") == LIMIT, "connections")
    for each in held:
        each.close()

    def comes_in():
        with connect(limited) as connection:
            return not is_closed(connection, 0.2)

    # No need to wait for the look that is taken each second.
    wait_for(comes_in, "a place", timeout=1.5)


def test_a_stream_that_is_refused_again_and_again_ends(limited):
    """ClientMessage.hello of runs whose names are none: 64 a stream may be refused at once."""
    answers, ended = [], threading.Event()

    def hellos():
        for number in range(1, 10_000):
            yield field(1, field(1, number) + field(2, b"/"))
        ended.wait(30)

    with grpc.insecure_channel(limited.grpc) as channel:
        call = channel.stream_stream("/muster.v1.Telemetry/Stream")(hellos(), timeout=30)
        with pytest.raises(grpc.RpcError) as error:
            for answer in call:
                answers.append(answer)
        ended.set()
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "refused" in error.value.details()
    assert 64 <= len(answers) <= 66
    assert metric(limited, 'muster_reports_rejected_total{reason="too_many_refusals"}') == 1
    # Who has something to say is not held up.
    assert report(limited.grpc).acknowledged == 3
