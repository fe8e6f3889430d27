"""The arrow check notices an arrow that runs back."""

import importlib.machinery
import importlib.util

import pytest
from conftest import ROOT


def load():
    loader = importlib.machinery.SourceFileLoader("check_arrows", str(ROOT / "scripts/check_arrows"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_arrows", loader))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "path, included, is_fault",
    [
        ("daemon/frames/assembler.cc", "daemon/consistency/measure.h", True),
        ("daemon/consistency/measure.h", "daemon/frames/frame.h", False),
        ("daemon/runs/run.h", "daemon/ingest/session.h", True),
        ("daemon/web/queries.cc", "daemon/ingest/session.h", True),
        ("daemon/detect/detector.h", "daemon/config.h", True),
        ("daemon/detect/detector.h", "prometheus/metric_family.h", True),
        ("daemon/runs/run.cc", "muster/v1/telemetry.pb.h", True),
        ("daemon/ingest/session.h", "muster/v1/telemetry.pb.h", False),
        ("daemon/ingest/session.cc", "grpcpp/grpcpp.h", True),
        ("daemon/server.cc", "grpcpp/grpcpp.h", True),
        ("daemon/grpc_listener.cc", "grpcpp/grpcpp.h", False),
        ("daemon/relay/grpc_upstream.cc", "grpcpp/grpcpp.h", False),
        ("daemon/relay/line.cc", "grpcpp/grpcpp.h", True),
        ("daemon/relay/relay.cc", "daemon/ingest/sink.h", False),
        ("daemon/ingest/session.cc", "daemon/relay/relay.h", True),
        ("daemon/server.cc", "muster/client.h", True),
        ("client/src/client.cc", "daemon/base/mutex.h", True),
        ("client/src/client.cc", "client/src/grpc_transport.h", True),
        ("client/src/http2_session.cc", "nghttp2/nghttp2.h", False),
        ("client/src/http2_transport.cc", "nghttp2/nghttp2.h", True),
        ("client/src/socket.cc", "openssl/ssl.h", True),
        ("cli/main.cc", "daemon/server.h", True),
        ("cli/replay.cc", "daemon/runs/replay.h", False),
        ("daemon/history/writer.cc", "daemon/runs/run.h", True),
        ("daemon/history/writer.cc", "sqlite3.h", True),
        ("daemon/elsewhere/file.h", "daemon/frames/frame.h", True),  # a room not yet placed
    ],
)
def test_faults(path, included, is_fault):
    assert bool(load().faults(path, included)) == is_fault
