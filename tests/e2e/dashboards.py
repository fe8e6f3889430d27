"""Grafana's dashboards: how they are read, and the rules that they are held to.

The rules are those of Grafana's dashboard-linter where they apply, and Muster's own: a gauge of the newest frame is
shown only together with that frame's age, since it keeps its value when a run falls silent.
"""

import json
import re

from conftest import ROOT

FOLDER = ROOT / "dashboards"
NAMES = ["muster-runs", "muster-run", "muster-itself"]

_METRIC = re.compile(r"\b((?:muster|process|scrape)_\w+|up)\b(\{[^}]*\})?(\[[^]]*\])?")
_RATE = re.compile(r"\b(?:rate|irate|increase|delta|deriv)\(([^][()]*)\[([^]]*)\]")
_FRESHNESS = "muster_last_frame_timestamp_seconds"
# Values that Grafana gives; the dashboards' own variables are added by the caller.
_BUILT_IN = {"__rate_interval", "__interval", "__range", "__range_s"}


def load(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def panels(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries(dashboard):
    """(where, target) of each panel and annotation, and of each query variable as a target of its selector."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield f"{dashboard['title']}: {panel['title']} {target['refId']}", target
    for annotation in dashboard["annotations"]["list"]:
        yield f"{dashboard['title']}: annotation {annotation['name']}", annotation["target"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            selector, label = re.fullmatch(
                r"label_values\((.*), (\w+)\)", variable["query"]["query"]
            ).groups()
            target = {"expr": selector, "legendFormat": "{{%s}}" % label, "instant": False}
            yield f"{dashboard['title']}: variable {variable['name']}", target


def substitute(expression, values):
    """`expression` with Grafana's variables replaced, as Grafana does: longest name first."""
    for name in sorted(values, key=len, reverse=True):
        expression = re.sub(rf"\$(\{{{name}\}}|{name}\b)", str(values[name]), expression)
    assert "$" not in expression, f"unknown variable in {expression}"
    return expression


def selectors(expression):
    """(metric, selector without range) of everything that `expression` reads from the server."""
    bare = re.sub(r"\b(?:by|on|group_left)\s*\([^)]*\)", "", expression)
    return {(name, name + labels) for name, labels, _ in _METRIC.findall(bare)}


def documented():
    """{metric: type} of docs/metrics.md, histograms under the names of their series."""
    kinds = {}
    rows = re.findall(
        r"^\| `((?:muster|process)_\w+)` \| (\w+) \| ([^|]*) \|",
        (ROOT / "docs/metrics.md").read_text(),
        re.MULTILINE,
    )
    for name, kind, labels in rows:
        if kind == "histogram":
            kinds |= {f"{name}_{part}": "counter" for part in ("bucket", "sum", "count")}
        else:
            kinds[name] = kind
            if kind == "gauge" and "`run`" in labels and name != _FRESHNESS:
                kinds[name] = "gauge of a run"
    return kinds


def problems(dashboard):
    """What is wrong with it, in words; nothing is asked of a server."""
    found = list(_problems_of_whole(dashboard))
    kinds = documented()
    for panel in panels(dashboard):
        where = panel["title"] or f"panel {panel['id']}"
        found += [f"{where}: {what}" for what in _problems_of_panel(panel)]
    for where, target in queries(dashboard):
        found += [f"{where}: {what}" for what in _problems_of_query(target["expr"], kinds)]
    return found


def _problems_of_whole(dashboard):
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    source = variables.get("datasource", {})
    if (source.get("type"), source.get("query")) != ("datasource", "prometheus"):
        yield "no variable `datasource` of Prometheus type"
    for each in variables.values():
        if not each.get("label") or not each.get("description"):
            yield f"variable {each['name']}: no label or description"
        if each["type"] == "query" and each.get("refresh") != 2:
            yield f"variable {each['name']}: not refreshed when the time range changes"
        if each["type"] == "query" and each["datasource"].get("uid") != "${datasource}":
            yield f"variable {each['name']}: not of the chosen data source"
    text = json.dumps(dashboard)
    used = set(re.findall(r"\$\{?([a-z]\w*)", text))
    for name in used - set(variables):
        yield f"variable {name} is used but not defined"
    for name in set(variables) - used:
        yield f"variable {name} is defined but not used"
    if dashboard["editable"] is not False:
        yield "editable: changes would be lost at the next provisioning"
    if not dashboard["uid"] or not dashboard["title"] or not dashboard["description"]:
        yield "no uid, title or description"
    for uid in re.findall(r"/d/([\w-]+)", text):
        if uid not in NAMES:
            yield f"a link to {uid}, which does not exist"
    for uid in set(NAMES) - {dashboard["uid"]}:
        if not any(link["url"].startswith(f"/d/{uid}?") for link in dashboard["links"]):
            yield f"no link to {uid}"
    if not any(link["url"].startswith("${muster_url}/") for link in dashboard["links"]):
        yield "no link to the daemon's page"
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(ids) != len(set(ids)):
        yield "two panels have the same id"
    cells = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        if place["x"] + place["w"] > 24 or cells & own:
            yield f"{panel['title']}: overlaps another panel or the edge"
        cells |= own


def _problems_of_panel(panel):
    if not panel["title"] or not panel.get("description"):
        yield "no title or description"
    if not panel["fieldConfig"]["defaults"].get("unit"):
        yield "no unit"
    if not panel["targets"]:
        yield "no query"
    for part in (panel, *panel["targets"]):
        if part["datasource"] != {"type": "prometheus", "uid": "${datasource}"}:
            yield "not of the chosen data source"
    # What overrides can name: a query's legend, or a column of a table.
    names = {target["legendFormat"] for target in panel["targets"]}
    for transformation in panel.get("transformations", []):
        names |= set(transformation["options"].get("renameByName", {}).values())
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] not in names:
            yield f"an override of {override['matcher']['options']!r}, which is not there"


def _problems_of_query(expression, kinds):
    for name, _ in selectors(expression):
        if not name.startswith(("muster_", "process_")):
            continue  # Prometheus' own
        kind = kinds.get(name)
        if kind is None:
            yield f"{name} is not in docs/metrics.md"
        if kind == "counter":
            whole = re.findall(rf"(\w+)\({name}\b", expression)
            if len(whole) != len(re.findall(rf"\b{name}\b", expression)) or (
                set(whole) - {"rate", "increase"}
            ):
                yield f"{name} is a counter, but its rate is not taken"
        if kind != "counter" and re.search(rf"\b(rate|irate|increase)\({name}\b", expression):
            yield f"a rate of {name}, which is no counter"
        # A variable's query only lists label values.
        alone = re.fullmatch(rf"{name}(\{{[^}}]*\}})?", expression)
        if kind == "gauge of a run" and not alone and _FRESHNESS not in expression:
            yield f"{name} without the age of its frame"
    for _, window in _RATE.findall(expression):
        if window not in ("$__rate_interval", "$__range"):
            yield f"a rate over [{window}] rather than [$__rate_interval]"
    for name in re.findall(r"\$\{?(__\w+)", expression):
        if name not in _BUILT_IN:
            yield f"${name} is not known here"


def data_problems(dashboard, server, values, now, seconds=20):
    """The queries of `dashboard` that `server` refuses or has no data for, each with the reason.

    values: of all variables. now, seconds: end and length of the time range. A query must give at least one finite
    value in it, with each label of its legend; so must each of its selectors alone, for `or vector(0)` hides a metric
    that is not there.
    """
    found = []
    for where, target in queries(dashboard):
        expression = substitute(target["expr"], values)
        try:
            server.get("format_query", query=expression)
            if target["instant"]:
                series = server.query(expression, time=now)
                numbers = [one["value"][1] for one in series]
            else:
                series = server.query_range(expression, now - seconds, now, 1)
                numbers = [value for one in series for _, value in one["values"]]
            if not any(number not in ("NaN", "+Inf", "-Inf") for number in numbers):
                found.append(f"{where}: no data from {expression}")
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                if not all(one["metric"].get(label) for one in series):
                    found.append(f"{where}: series without the label {label} of the legend")
            for _, selector in selectors(expression):
                if not server.query(f"last_over_time({selector}[{seconds}s])", time=now):
                    found.append(f"{where}: no series {selector}")
        except ValueError as refusal:
            found.append(f"{where}: {refusal}")
    return found
