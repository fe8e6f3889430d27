"""The files of the Grafana dashboards: up to date, of Grafana's own types, and by the rules."""

import copy
import json
import re
import subprocess

import dashboards
import npm_project
import pytest
from npm_project import needs_npm

LOADED = {name: dashboards.load(name) for name in dashboards.NAMES}


@pytest.fixture(scope="module")
def generator():
    """The compiled generator."""
    return npm_project.compiled(dashboards.FOLDER / "generator", "dashboards")


@needs_npm
def test_the_committed_files_are_what_the_generator_writes(generator, tmp_path):
    npm_project.run(generator, "node", "out/main.js", str(tmp_path))
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert set(written) == {path.name for path in dashboards.FOLDER.glob("*.json")}
    for name, text in written.items():
        committed = (dashboards.FOLDER / name).read_text()
        assert text == committed, f"{name} is old: npm run generate in dashboards/generator"


def _type_errors(generator, *checked):
    """{index of the dashboard: what the compiler says of it}"""
    names = [f"check_{index}.ts" for index in range(len(checked))]
    try:
        for name, dashboard in zip(names, checked):
            (generator / "src" / name).write_text(
                "import type { Committed } from './committed';\n"
                f"export const dashboard: Committed = {json.dumps(dashboard, indent=1)};\n"
            )
        done = subprocess.run(
            ["node_modules/.bin/tsc", "--noEmit", "--pretty", "false"],
            cwd=generator,
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        for name in names:
            (generator / "src" / name).unlink()
    found = re.findall(r"^src/check_(\d)\.ts\S* error (.*)$", done.stdout, re.MULTILINE)
    assert len(found) == done.stdout.count("error TS"), done.stdout
    return {int(index): text for index, text in found}


@needs_npm
def test_the_committed_files_have_grafanas_types(generator):
    value, option, unit = (copy.deepcopy(LOADED["muster-run"]) for _ in range(3))
    dashboards.panels(value)[0]["options"]["colorMode"] = "blink"
    dashboards.panels(option)[0]["options"]["blinking"] = True
    dashboards.panels(unit)[0]["fieldConfig"]["defaults"]["units"] = "s"
    errors = _type_errors(generator, *LOADED.values(), value, option, unit)
    # The committed files have none, and the check sees what it should.
    assert set(errors) == {3, 4, 5}, errors
    assert '"blink"' in errors[3]
    assert '"blinking"' in errors[4]
    assert '"units"' in errors[5]


def test_the_lock_file_names_no_registry():
    assert "http" not in (dashboards.FOLDER / "generator" / "package-lock.json").read_text()


@pytest.mark.parametrize("name", dashboards.NAMES)
def test_rules(name):
    assert dashboards.problems(LOADED[name]) == []


def _without(*keys):
    def remove(dashboard):
        part = dashboards.panels(dashboard)[0]
        for key in keys[:-1]:
            part = part[key]
        del part[keys[-1]]

    return remove


def _asking(expression):
    def ask(dashboard):
        dashboards.panels(dashboard)[0]["targets"][0]["expr"] = expression

    return ask


@pytest.mark.parametrize(
    "spoil, said",
    [
        (_without("description"), "no title or description"),
        (_without("fieldConfig", "defaults", "unit"), "no unit"),
        (lambda one: one["templating"]["list"].pop(0), "no variable `datasource`"),
        (lambda one: one["templating"]["list"][1].update(refresh=1), "not refreshed"),
        (lambda one: one["links"].pop(), "no link to the daemon's page"),
        (lambda one: one["panels"][2]["gridPos"].update(x=1), "overlaps"),
        (_asking("rate(muster_frames_total[5m])"), "a rate over [5m]"),
        (_asking("sum(muster_frames_total)"), "its rate is not taken"),
        (_asking("rate(muster_step[$__rate_interval])"), "which is no counter"),
        (_asking("max(muster_loss_mean{run='$run'})"), "without the age of its frame"),
        (_asking("muster_los_mean"), "is not in docs/metrics.md"),
        (_asking("vector($unknown)"), "is used but not defined"),
    ],
)
def test_the_rules_see(spoil, said):
    spoiled = copy.deepcopy(LOADED["muster-run"])
    spoil(spoiled)
    assert any(said in problem for problem in dashboards.problems(spoiled))
