"""How musterd starts and stops, and what it says when it cannot."""

import json
import signal
import socket
import subprocess

import pytest
from conftest import BUILD, Musterd, wait_for

MUSTERD = BUILD / "daemon" / "musterd"


def run(*flags, env=None):
    return subprocess.run([MUSTERD, *flags], capture_output=True, text=True, timeout=20, env=env)


def fails_with_one_line(result, *words):
    assert result.returncode != 0
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    for word in words:
        assert word in result.stderr, result.stderr


def test_version_and_help():
    assert run("--version").stdout.strip().endswith("0.1.0")
    assert "--grpc-address" in run("--help").stdout


def test_print_config_is_a_configuration(tmp_path):
    printed = run("--print-config")
    assert printed.returncode == 0
    file = tmp_path / "musterd.yaml"
    file.write_text(printed.stdout)
    checked = run(f"--config={file}", "--check-config")
    assert checked.returncode == 0, checked.stderr
    assert run(f"--config={file}", "--print-config").stdout == printed.stdout


@pytest.mark.parametrize(
    "yaml, words",
    [
        ("grpc_address: [1\n", ["bad.yaml:"]),
        ("grpc_adress: 127.0.0.1:0\n", ["bad.yaml:1", "grpc_adress"]),
        ("\nlimits:\n  max_runs: none\n", ["bad.yaml:3", "limits.max_runs", "none"]),
        ("detect:\n  rank_outlier:\n    margin: -1\n", ["bad.yaml:3", "margin", "-1"]),
    ],
)
def test_bad_yaml_names_file_line_and_key(tmp_path, yaml, words):
    file = tmp_path / "bad.yaml"
    file.write_text(yaml)
    fails_with_one_line(run(f"--config={file}", "--check-config"), *words)
    fails_with_one_line(run(f"--config={file}"), *words)


def test_missing_config_file(tmp_path):
    fails_with_one_line(run(f"--config={tmp_path}/none.yaml"), f"{tmp_path}/none.yaml")


@pytest.mark.parametrize("flag", ["--grpc-address", "--http-address"])
def test_busy_port(flag):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        other = {"--grpc-address": "--http-address", "--http-address": "--grpc-address"}[flag]
        fails_with_one_line(run(f"{flag}={address}", f"{other}=127.0.0.1:0"), address)


def test_unwritable_data_folder(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    fails_with_one_line(run(f"--data-dir={file}/sub"), f"{file}/sub")


def test_unknown_environment_is_ignored():
    # Kubernetes sets such variables for a Service called musterd.
    result = run(
        "--check-config",
        env={"MUSTERD_PORT": "tcp://10.0.0.1:7600", "MUSTERD_SERVICE_HOST": "10.0.0.1"},
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_drains_and_exits_with_zero(tmp_path, number):
    daemon = Musterd(tmp_path)
    daemon.process.send_signal(number)
    assert daemon.process.wait(timeout=10) == 0
    assert "stopped" in daemon.log.read_text()


def test_reload_keeps_the_old_configuration_if_the_new_one_is_bad(tmp_path):
    file = tmp_path / "musterd.yaml"
    file.write_text("log_level: info\n")
    daemon = Musterd(tmp_path, f"--config={file}")
    try:
        for text, said in [("log_level: loud\n", "not reloaded"), ("log_level: info\n", "configuration reloaded")]:
            file.write_text(text)
            daemon.process.send_signal(signal.SIGHUP)

            wait_for(lambda: said in daemon.log.read_text(), f"'{said}' in the log")
        assert daemon.get("/api/v1/runs")["runs"] == []
    finally:
        assert daemon.stop() == 0


def test_json_log_is_one_object_a_line(tmp_path):
    daemon = Musterd(tmp_path, "--log-format=json")
    assert daemon.stop() == 0
    lines = daemon.log.read_text().splitlines()
    assert len(lines) >= 2
    for line in lines:
        assert {"time", "level", "message"} <= json.loads(line).keys()
