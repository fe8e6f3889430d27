"""deploy/helm: the chart's values are held to their schema, and what it renders is what Kustomize renders.

Helm itself is not at hand. Its template language is: Go's text/template and sprig, under deploy/helm/check/render.go.
"""

import copy
import json
import os
import re
import shutil
import subprocess

import kubernetes_policy as policy
import npm_project
import pytest
import test_kubernetes as kubernetes
from conftest import ROOT
from npm_project import needs_npm

yaml = pytest.importorskip("yaml")

FOLDER = ROOT / "deploy" / "helm"
CHART = FOLDER / "muster"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed")
ALL_ON = {"monitoring": {"enabled": True}, "dashboards": {"enabled": True}}


@pytest.fixture(scope="module")
def checker():
    return npm_project.compiled(kubernetes.FOLDER / "check", "kubernetes")


@pytest.fixture(scope="module")
def helm():
    """renders(values) of the chart, as release `musterd` in the namespace `muster`."""
    folder = ROOT / "build" / "helm"
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": ""}
    done = subprocess.run(
        ["go", "build", "-o", folder / "render", "render.go"], cwd=FOLDER / "check", env=environment,
        capture_output=True, text=True, timeout=300,
    )
    assert done.returncode == 0, done.stderr

    def render(values):
        (folder / "values.yaml").write_text(yaml.safe_dump(values))
        done = subprocess.run(
            [folder / "render", CHART, "musterd", "muster", folder / "values.yaml"],
            capture_output=True, text=True, timeout=60,
        )
        assert done.returncode == 0, done.stderr
        # What Helm prints for what it was not given.
        assert "<no value>" not in done.stdout
        return done.stdout

    return render


def objects(text):
    found = [each for each in yaml.safe_load_all(text) if each is not None]
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def comparable(found):
    """Without what the tools do differently: how a changed configuration restarts the daemon, and the order of volumes."""
    found = copy.deepcopy(found)
    plain = {}
    for (kind, name), each in found.items():
        if kind == "ConfigMap" and "musterd.yaml" in each["data"]:
            name = each["metadata"]["name"] = "musterd"
            each["data"]["musterd.yaml"] = yaml.safe_load(each["data"]["musterd.yaml"])
        if kind == "StatefulSet":
            template = each["spec"]["template"]
            template["metadata"].pop("annotations", None)
            for volume in template["spec"]["volumes"]:
                if "configMap" in volume:
                    volume["configMap"]["name"] = "musterd"
            template["spec"]["volumes"].sort(key=lambda volume: volume["name"])
            template["spec"]["containers"][0]["volumeMounts"].sort(key=lambda mount: mount["name"])
        plain[kind, name] = each
    return plain


@needs_go
@kubernetes.needs_kubectl
def test_the_chart_is_what_kustomize_renders(helm):
    chart = comparable(objects(helm(ALL_ON)))
    kustomize = comparable(objects(kubernetes.rendered(kubernetes.FOLDER / "overlays" / "production")))
    del kustomize["Namespace", "muster"]  # Helm's --create-namespace
    assert set(chart) == set(kustomize)
    assert len(chart) == 13
    for name, each in chart.items():
        assert each == kustomize[name], name


@needs_go
@kubernetes.needs_kubectl
def test_with_tls_too(helm):
    kustomize = comparable({(o["kind"], o["metadata"]["name"]): o for o in kubernetes.objects("tls")})
    configuration = kustomize["ConfigMap", "musterd"]["data"]["musterd.yaml"]
    own = {key: value for key, value in configuration.items() if key != "tls"}
    secrets = {"secretName": "musterd-tls", "prometheusSecretName": "muster-prometheus-tls"}
    chart = comparable(objects(helm({**ALL_ON, "tls": secrets, "configuration": own})))
    for name in (("StatefulSet", "musterd"), ("ConfigMap", "musterd"), ("ServiceMonitor", "muster")):
        assert chart[name] == kustomize[name]
    without = comparable(objects(helm({"tls": {**secrets, "clientCertificates": False}})))
    files = without["ConfigMap", "musterd"]["data"]["musterd.yaml"]["tls"]
    assert set(files) == {"cert_file", "key_file"}


@needs_go
@needs_npm
def test_what_is_rendered_is_valid_and_hardened(helm, checker, tmp_path):
    text = helm(ALL_ON)
    # An empty document is none for kubectl.
    text = "---\n".join(part for part in re.split(r"^---\n", text, flags=re.MULTILINE) if yaml.safe_load(part))
    assert kubernetes.checked(checker, tmp_path, [text]) == [([], [])]
    assert [problem for each in objects(text).values() for problem in policy.problems(each)] == []


@needs_go
def test_values_reach_the_objects(helm):
    found = objects(helm({
        "image": {"repository": "r.example/m", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always",
                  "pullSecrets": [{"name": "pull"}]},
        "configuration": {"log_level": "debug"},
        "storage": {"size": "50Gi", "className": "fast"},
        "resources": {"limits": {"memory": "4Gi"}},
        "networkPolicy": {"prometheus": {"podLabels": {"app": "prom"}}},
        "nodeSelector": {"pool": "infra"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
    }))
    daemon = found["StatefulSet", "musterd"]["spec"]
    spec = daemon["template"]["spec"]
    [container] = spec["containers"]
    assert container["image"] == "r.example/m@sha256:" + "0" * 64
    assert (container["imagePullPolicy"], spec["imagePullSecrets"]) == ("Always", [{"name": "pull"}])
    assert container["resources"] == {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "4Gi"}}
    assert spec["nodeSelector"] == {"pool": "infra"}
    assert spec["tolerations"] == [{"key": "infra", "operator": "Exists"}]
    [claim] = daemon["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "50Gi"
    assert claim["spec"]["storageClassName"] == "fast"
    configuration = yaml.safe_load(found["ConfigMap", "musterd"]["data"]["musterd.yaml"])
    assert configuration == {"log_format": "json", "log_level": "debug", "history": {"max_bytes": 4294967296}}
    scraper = found["NetworkPolicy", "musterd"]["spec"]["ingress"][1]["from"][0]
    assert scraper["podSelector"]["matchLabels"]["app"] == "prom"
    assert ("ServiceMonitor", "muster") not in found


@needs_go
def test_a_changed_configuration_restarts_the_daemon(helm):
    def stamp(values):
        return objects(helm(values))["StatefulSet", "musterd"]["spec"]["template"]["metadata"]["annotations"]

    assert stamp({}) == stamp({"storage": {"className": "fast"}})
    assert stamp({}) != stamp({"configuration": {"log_level": "debug"}})


@needs_go
@pytest.mark.parametrize("off, gone", [
    ({"networkPolicy": {"enabled": False}}, ("NetworkPolicy", "musterd")),
    ({"podDisruptionBudget": {"enabled": False}}, ("PodDisruptionBudget", "musterd")),
    ({"dashboards": {"enabled": False}}, ("ConfigMap", "muster-dashboard-run")),
    ({"monitoring": {"enabled": False}}, ("PrometheusRule", "muster")),
])
def test_switches_switch(helm, off, gone):
    assert gone in objects(helm(ALL_ON))
    assert gone not in objects(helm({**ALL_ON, **off}))


GOOD = [
    {},
    ALL_ON,
    {"image": {"repository": "r.example:5000/a/b", "tag": "0.2.0"}},
    {"configuration": {"limits": {"max_runs": 4}}, "storage": {"size": "1.5Ti"}},
    {"resources": {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "4Gi", "cpu": "4"}}},
]
# Values, and where the schema says that they are wrong.
BAD = [
    ({"imag": {}}, "/ "),
    ({"image": {"repository": ""}}, "/image/repository"),
    ({"image": {"repository": "r", "tag": "latest"}}, "/image/tag"),
    ({"image": {"repository": "r", "digest": "0123"}}, "/image/digest"),
    ({"image": {"repository": "r", "pullPolicy": "always"}}, "/image/pullPolicy"),
    ({"configuration": {"data_dir": "/elsewhere"}}, "/configuration"),
    ({"configuration": {"tls": {}}}, "/configuration"),
    ({"tls": {"secretName": "Not A Name"}}, "/tls/secretName"),
    ({"tls": {"secret": "a"}}, "/tls "),
    ({"storage": {"size": "twelve"}}, "/storage/size"),
    ({"storage": {"size": 12}}, "/storage/size"),
    ({"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {}}}, "/resources/limits"),
    ({"networkPolicy": {"enabled": "no"}}, "/networkPolicy/enabled"),
    ({"networkPolicy": {"prometheus": {"podLabels": {"a": True}}}}, "/networkPolicy/prometheus/podLabels"),
    ({"monitoring": True}, "/monitoring"),
    ({"replicas": 2}, "/ "),
    ({"tolerations": {}}, "/tolerations"),
]


@needs_npm
def test_the_schema_takes_good_values_and_refuses_bad_ones(checker, tmp_path):
    cases = [(CHART / "values.yaml").read_text(), *map(yaml.safe_dump, GOOD), *(yaml.safe_dump(bad) for bad, _ in BAD)]
    files = []
    for index, text in enumerate(cases):
        files.append(tmp_path / f"{index}.yaml")
        files[-1].write_text(text)
    done = subprocess.run(
        ["node", "out/main.js", "values", CHART / "values.schema.json", *files],
        cwd=checker, capture_output=True, text=True, timeout=60,
    )
    assert done.returncode == 1
    said = {file: [] for file in files}
    for line in done.stderr.splitlines():
        name, _, what = line.partition(": ")
        said[tmp_path / name].append(what)
    for file, text in zip(files[: 1 + len(GOOD)], cases):
        assert said[file] == [], text
    for file, (bad, where) in zip(files[1 + len(GOOD) :], BAD):
        assert any(line.startswith(where) for line in said[file]), (bad, said[file])


def in_schema(path):
    """Whether the schema knows the value with these keys."""
    part = SCHEMA
    for key in path:
        if "$ref" in part:
            part = SCHEMA["$defs"][part["$ref"].rpartition("/")[2]]
        if "properties" not in part:
            return part.get("additionalProperties") is not False
        if key not in part["properties"]:
            return False
        part = part["properties"][key]
    return True


def test_templates_use_only_values_that_the_schema_knows():
    used = set()
    for template in (CHART / "templates").iterdir():
        used |= set(re.findall(r"\.Values\.([\w.]+)", template.read_text()))
    assert len(used) > 12
    assert [path for path in used if not in_schema(path.split("."))] == []
    assert not in_schema(["image", "registry"]) and not in_schema(["replicas"])
    # And every value that may be set is used.
    known = {f"{name}.{key}" for name, part in SCHEMA["properties"].items() for key in part.get("properties", {})}
    unused = known - used - {f"configuration.{key}" for key in SCHEMA["properties"]["configuration"]["properties"]}
    whole = {name for name in SCHEMA["properties"] if name in used}
    assert {path for path in unused if path.split(".")[0] not in whole} <= {"networkPolicy.prometheus"}


def test_files_of_the_chart_are_the_ones_of_this_repository():
    linked = {link.name: link.resolve() for link in (CHART / "files").iterdir()}
    assert linked == {
        "muster.rules.yaml": ROOT / "deploy" / "prometheus" / "muster.rules.yaml",
        **{path.name: path for path in (ROOT / "dashboards").glob("*.json")},
    }
    assert all(link.is_symlink() for link in (CHART / "files").iterdir())
