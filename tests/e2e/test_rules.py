"""The rules for Prometheus that are shipped: valid, tested each way, and with runbooks that exist."""

import re
import shutil
import subprocess

import pytest
from conftest import ROOT

yaml = pytest.importorskip("yaml")

FOLDER = ROOT / "deploy" / "prometheus"
RULES = FOLDER / "muster.rules.yaml"
TESTS = sorted((FOLDER / "tests").glob("*.test.yaml"))
# A gauge of a run that is judged without its age would be trusted for ever.
TIMESTAMP = "muster_last_frame_timestamp_seconds"


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules(kind):
    return [rule for group in read(RULES)["groups"] for rule in group["rules"] if kind in rule]


def alert_names():
    names = [rule["alert"] for rule in rules("alert")]
    assert len(names) == len(set(names)) > 20
    return names


def anchors(document):
    """Of its headings, as GitHub makes them."""
    found = set()
    for line in document.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"#+ +(.*)", line):
            words = re.sub(r"[^\w\- ]", "", heading[1].lower())
            found.add(words.replace(" ", "-"))
    return found


def run(*command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_accepts_rules_and_configuration():
    assert "SUCCESS" in run("promtool", "check", "rules", str(RULES))
    # It finds the rules beside it.
    said = run("promtool", "check", "config", str(FOLDER / "prometheus.yml"))
    assert f"{len(rules('alert')) + len(rules('record'))} rules found" in said


def test_rules_do_what_their_tests_say():
    said = run("promtool", "test", "rules", *map(str, TESTS))
    assert said.count("SUCCESS") == len(TESTS) >= 2


def test_yaml_is_tidy():
    run("yamllint", "--strict", ".")


@pytest.mark.parametrize("name", alert_names())
def test_each_alert_is_tested_firing_and_not_firing(name):
    cases = [
        case
        for file in TESTS
        for test in read(file)["tests"]
        for case in test.get("alert_rule_test", [])
        if case["alertname"] == name
    ]
    assert any(case["exp_alerts"] for case in cases), "no test in which it fires"
    assert any(not case["exp_alerts"] for case in cases), "no test in which it does not fire"


@pytest.mark.parametrize("rule", rules("alert"), ids=alert_names())
def test_each_alert_says_how_bad_what_and_where_to_read_on(rule):
    assert re.fullmatch(r"Muster([A-Z][a-z]+)+", rule["alert"])
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert path.startswith("https://") and path.endswith("/docs/alerts.md")
    assert anchor in anchors(ROOT / "docs" / "alerts.md")
    # The section is the alert's own.
    assert anchor in (rule["alert"].lower(), rule["alert"].removeprefix("Muster").lower())


@pytest.mark.parametrize("rule", rules("record"), ids=lambda rule: rule["record"])
def test_each_recording_rule_is_tested(rule):
    expressions = [
        case["expr"]
        for file in TESTS
        for test in read(file)["tests"]
        for case in test.get("promql_expr_test", [])
    ]
    assert any(rule["record"] in expression for expression in expressions)
    assert re.fullmatch(r"run:muster_\w+:\w+", rule["record"])


def test_each_kind_has_its_rule_with_its_severity():
    source = (ROOT / "daemon" / "detect" / "kinds.cc").read_text(encoding="utf-8")
    kinds = dict(re.findall(r'"(\w+)",\s+"\w+",\s+\{Mode::\w+, Severity::k(\w+)\}', source))
    assert len(kinds) == source.count("{Kind::k") > 10
    by_name = {rule["alert"]: rule for rule in rules("alert")}
    for kind, severity in kinds.items():
        rule = by_name[f"Muster{kind}"]
        assert f'muster_alerts_firing{{kind="{kind}"}}' in rule["expr"]
        assert rule["labels"]["severity"] == severity.lower()


def test_whatever_looks_at_a_gauge_of_a_run_looks_at_its_age():
    gauges = set()
    for line in (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").splitlines():
        if row := re.match(r"\| `(\w+)` \| gauge \| `run`", line):
            gauges.add(row[1])
    assert TIMESTAMP in gauges
    # These are about presence itself.
    gauges -= {TIMESTAMP, "muster_run_ended"}
    looked = 0
    for rule in rules("expr"):
        if gauges & set(re.findall(r"\w+", rule["expr"])):
            looked += 1
            said = rule["expr"] + rule.get("annotations", {}).get("description", "")
            assert TIMESTAMP in said or "run:muster_last_frame_age:seconds" in said, rule
    assert looked > 10


def test_rules_name_only_metrics_that_are_documented():
    documented = set(
        re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "metrics.md").read_text("utf-8"), re.MULTILINE)
    )
    named = set()
    for rule in rules("expr"):
        for name in re.findall(r"(?<![\w:])(?:muster|process)_\w+", rule["expr"]):
            named.add(re.sub(r"_(bucket|sum|count)$", "", name))
    assert named <= documented, named - documented
    assert len(named) > 10


def test_the_rules_job_is_the_scraped_one():
    assert 'job="muster"' in RULES.read_text(encoding="utf-8")
    jobs = [job["job_name"] for job in read(FOLDER / "prometheus.yml")["scrape_configs"]]
    assert jobs == ["muster"]
    folder = ROOT / "deploy" / "kubernetes"
    monitor = read(folder / "components" / "monitoring" / "servicemonitor.yaml")
    assert (monitor["apiVersion"], monitor["kind"]) == ("monitoring.coreos.com/v1", "ServiceMonitor")
    # The operator calls the job as the Service's label says.
    label = monitor["spec"]["jobLabel"]
    assert monitor["spec"]["selector"]["matchLabels"][label] == "muster"
