"""What can be said of deploy/compose without a container engine."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from conftest import ROOT

FOLDER = ROOT / "deploy" / "compose"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
PROVISIONING = ROOT / "dashboards" / "provisioning"


def mounts(service):
    """{path in the container: path here} of what is mounted from the repository."""
    volumes = [volume.split(":") for volume in COMPOSE["services"][service]["volumes"]]
    return {
        inside: (FOLDER / here).resolve() for here, inside, *_ in volumes if here.startswith(".")
    }


def test_what_is_mounted_exists():
    for service in COMPOSE["services"]:
        for path in mounts(service).values():
            assert path.exists(), f"{service} mounts {path}"
    build = COMPOSE["services"]["musterd"]["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).exists()


def test_all_ports_are_on_loopback_and_all_images_pinned():
    for name, service in COMPOSE["services"].items():
        for port in service["ports"]:
            assert port.startswith("127.0.0.1:"), f"{name}: {port}"
        if "image" in service:
            assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", service["image"])


def test_grafana_finds_the_dashboards_and_the_server():
    inside = mounts("grafana")
    assert inside["/etc/grafana/provisioning"] == PROVISIONING
    [provider] = yaml.safe_load((PROVISIONING / "dashboards/muster.yaml").read_text())["providers"]
    folder = provider["options"]["path"]
    shown = {path for inner, path in inside.items() if inner.startswith(f"{folder}/")}
    assert shown == set((ROOT / "dashboards").glob("*.json"))
    home = COMPOSE["services"]["grafana"]["environment"][
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"
    ]
    assert home in inside
    [source] = yaml.safe_load((PROVISIONING / "datasources/muster.yaml").read_text())["datasources"]
    assert source["type"] == "prometheus" and source["url"] == "http://prometheus:9090"
    interval = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == interval


def test_grafana_is_the_one_whose_schema_is_used():
    package = json.loads((ROOT / "dashboards/generator/package.json").read_text())
    schema = package["devDependencies"]["@grafana/schema"]
    assert COMPOSE["services"]["grafana"]["image"] == f"grafana/grafana:{schema}"


@pytest.mark.parametrize(
    "command, file",
    [
        (["promtool", "check", "config", "--syntax-only"], "prometheus.yaml"),
        (["amtool", "check-config"], "alertmanager.yaml"),
    ],
)
def test_configurations_are_accepted_by_their_own_tools(command, file):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([*command, FOLDER / file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def installed(stage):
    return set(re.search(r"--no-install-recommends \\\n(.*?)(?:&&|\n\S)", stage, re.DOTALL)[1].split()) - {"\\"}


DOCKERFILE = (ROOT / "deploy/image/Dockerfile").read_text()


def test_the_image_is_built_with_what_a_machine_is_set_up_with():
    build = installed(DOCKERFILE.split("\nFROM ")[1])
    packages = re.search(r"packages=\((.*?)\n\)", (ROOT / "scripts/bootstrap").read_text(), re.DOTALL)
    here = set(packages[1].split())
    assert build - here <= {"file", "nodejs", "npm"}
    of_tests = {"libgtest-dev", "libclang-rt-14-dev"} | {name for name in here if name.startswith("golang-")}
    assert {name for name in here if name.endswith("-dev")} - of_tests <= build


def test_the_image_is_made_of_the_packages_and_runs_as_no_root():
    final = DOCKERFILE.split("\nFROM ")[-1]
    names = {path.rpartition("/")[2].partition("_")[0] for path in installed(final) if path.endswith(".deb")}
    packaged = (ROOT / "cmake/MusterPackages.cmake").read_text()
    assert names and names <= set(re.findall(r"^muster_package\(\w+ (\S+)", packaged, re.MULTILINE))
    assert re.search(r"^USER 7600:7600$", final, re.MULTILINE)
    # Nothing runs as root after the user is set.
    assert "RUN" not in final.partition("\nUSER ")[2]
