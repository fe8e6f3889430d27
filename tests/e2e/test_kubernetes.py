"""deploy/kubernetes: every overlay renders, and what it renders is valid, of its types, hardened, and fits together."""

import copy
import functools
import os
import re
import shutil
import subprocess

import kubernetes_policy as policy
import npm_project
import pytest
from conftest import BUILD, ROOT
from npm_project import needs_npm

yaml = pytest.importorskip("yaml")

FOLDER = ROOT / "deploy" / "kubernetes"
RULE = FOLDER / "components" / "monitoring" / "prometheusrule.yaml"
OVERLAYS = sorted(path.parent.name for path in (FOLDER / "overlays").glob("*/kustomization.yaml"))
TRAININGS = {"indexed-job": "Job", "jobset": "JobSet", "pytorchjob": "PyTorchJob", "trainer-v2": "TrainingRuntime"}
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


@functools.cache
def rendered(folder):
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(overlay):
    return list(yaml.safe_load_all(rendered(FOLDER / "overlays" / overlay)))


def one(found, kind, name=None):
    [only] = [o for o in found if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    return only


def beside(tmp_path, component, overlay):
    """What is rendered of a training alone with a component."""
    here = tmp_path / overlay
    here.mkdir()
    sources = [path for path in (FOLDER / "overlays" / overlay / "training").glob("*.yaml") if "kustom" not in path.name]
    for path in sources:
        shutil.copy(path, here)
    (here / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "namespace": "training",
                "resources": [path.name for path in sources],
                "components": [os.path.relpath(FOLDER / "components" / component, here.resolve())],
                "images": [{"name": name, "newTag": "0.1.0"} for name in ("muster", "training")],
            }
        )
    )
    return rendered(here)


@pytest.fixture(scope="module")
def checker():
    return npm_project.compiled(FOLDER / "check", "kubernetes")


def checked(checker, tmp_path, texts):
    """[(what the schemas say, what the types say)] of each text."""
    by_schema, sources = [], []
    for index, text in enumerate(texts):
        (tmp_path / f"{index}.yaml").write_text(text)
        done = subprocess.run(
            ["node", "out/main.js", "objects", tmp_path / f"{index}.yaml"],
            cwd=checker, capture_output=True, text=True, timeout=120,
        )
        assert (done.returncode == 0) == (done.stderr == "")
        by_schema.append(done.stderr.splitlines())
        sources.append(checker / "src" / f"rendered_{index}.ts")
        sources[-1].write_text(done.stdout)
    try:
        done = subprocess.run(
            ["node_modules/.bin/tsc", "--noEmit", "--pretty", "false"],
            cwd=checker, capture_output=True, text=True, timeout=300,
        )
    finally:
        for source in sources:
            source.unlink()
    by_type = [re.findall(rf"^src/rendered_{n}.ts.* error (.*)$", done.stdout, re.MULTILINE) for n in range(len(texts))]
    assert sum(map(len, by_type)) == done.stdout.count(" error TS"), done.stdout
    return list(zip(by_schema, by_type))


@needs_kubectl
@needs_npm
def test_all_objects_validate_against_schemas_and_types(checker, tmp_path):
    texts = [rendered(FOLDER / "overlays" / name) for name in OVERLAYS]
    assert sum(text.count("\nkind:") for text in texts) > 70
    assert checked(checker, tmp_path, texts) == [([], [])] * len(texts)


# Overlay, text, what takes its place, and what schemas and types say of that; None: nothing.
SPOILT = [
    ("indexed-job", "backoffLimit: 4", "backoffLimit: four", "backoffLimit", "not assignable"),
    ("indexed-job", "  restartPolicy: Never", "  restartpolicy: Never", None, "restartpolicy"),
    ("indexed-job", "    livenessProbe:", "    livenesProbe:", None, "livenesProbe"),
    ("indexed-job", "runAsNonRoot: true", 'runAsNonRoot: "true"', "runAsNonRoot", "not assignable"),
    ("indexed-job", "muster-client: relay", "muster-client: true", "muster-client", "not assignable"),
    ("indexed-job", "kind: PodDisruptionBudget", "kind: PodDisruptionBudge", "is not a kind", None),
    ("indexed-job", "path: /healthz", "paths: /healthz", None, "paths"),
    ("jobset", "parallelism: 2", "parallelism: two", "parallelism", "not assignable"),
    ("jobset", "enableDNSHostnames", "enableDnsHostnames", None, "enableDnsHostnames"),
    ("pytorchjob", "cleanPodPolicy: None", "cleanPodPolicy: Never", None, "not assignable"),
    ("pytorchjob", "          drop:", "          dropped:", None, "dropped"),
    ("trainer-v2", "numProcPerNode: 8", "numProcPerNode: all", None, "not assignable"),
    ("trainer-v2", "runtimeRef:", "runtimeReference:", None, "runtimeRef"),
    ("production", "sampleLimit: 200000", "sampleLimit: many", "sampleLimit", "not assignable"),
    ("production", "jobLabel: app", "joblabel: app", None, "joblabel"),
    ("production", "expr: absent(", "expression: absent(", "property expr", "expression"),
]


@needs_kubectl
@needs_npm
def test_the_checks_see(checker, tmp_path):
    texts = []
    for overlay, good, bad, _, _ in SPOILT:
        text = rendered(FOLDER / "overlays" / overlay)
        assert good in text, good
        texts.append(text.replace(good, bad))
    for (_, _, bad, by_schema, by_type), (schema, types) in zip(SPOILT, checked(checker, tmp_path, texts)):
        assert bool(schema) == bool(by_schema) and all(by_schema in line for line in schema), (bad, schema)
        assert bool(types) == bool(by_type) and (not types or by_type in types[0]), (bad, types)


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_container_is_hardened(overlay):
    found = [problem for each in objects(overlay) for problem in policy.problems(each)]
    assert found == []
    assert any(policy.container(template, "musterd")
               for each in objects(overlay) if each["kind"] == "StatefulSet"
               for _, template in policy.pod_templates(each))


@needs_kubectl
@pytest.mark.parametrize("overlay, kind", TRAININGS.items())
def test_each_training_has_a_native_sidecar(overlay, kind):
    templates = list(policy.pod_templates(one(objects(overlay), kind)))
    assert templates
    for _, template in templates:
        [relay] = template["spec"]["initContainers"]
        assert (relay["name"], relay["restartPolicy"]) == ("muster", "Always")


@needs_kubectl
@pytest.mark.parametrize("spoil, said", [
    (lambda spec: spec["containers"][0]["securityContext"].pop("readOnlyRootFilesystem"), "can be written"),
    (lambda spec: spec["containers"][0]["securityContext"].pop("runAsNonRoot"), "may run as root"),
    (lambda spec: spec["containers"][0]["securityContext"].update(runAsUser=0), "no fixed user"),
    (lambda spec: spec["initContainers"][0]["securityContext"].pop("seccompProfile"), "no seccomp"),
    (lambda spec: spec["initContainers"][0]["securityContext"].pop("allowPrivilegeEscalation"), "gain privileges"),
    (lambda spec: spec["initContainers"][0]["securityContext"].update(privileged=True), "is privileged"),
    (lambda spec: spec["initContainers"][0]["securityContext"]["capabilities"].update(add=["NET_RAW"]), "capabilities"),
    (lambda spec: spec["initContainers"][0].update(image="musterd:latest"), "no fixed version"),
    (lambda spec: spec["initContainers"][0]["resources"].pop("limits"), "memory has no limit"),
    (lambda spec: spec["initContainers"][0].pop("restartPolicy"), "would be waited for"),
    (lambda spec: spec["initContainers"][0]["livenessProbe"]["httpGet"].update(path="/readyz"), "liveness depends"),
    (lambda spec: spec["initContainers"][0].update(readinessProbe={}), "hold up the training"),
    (lambda spec: spec["containers"][0]["env"].append({"name": "RANK", "value": "0"}), "RANK is set"),
    (lambda spec: spec["containers"][0]["env"].append(
        {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['index']"}}}), "comes from"),
    (lambda spec: spec["containers"][0]["env"][-1].update(value="unix:/run/other.sock"), "reports to"),
    (lambda spec: spec["containers"][0]["volumeMounts"].pop(), "does not see the socket"),
    (lambda spec: spec["volumes"][-2]["emptyDir"].pop("medium"), "not in memory"),
    (lambda spec: spec.pop("enableServiceLinks"), "enableServiceLinks"),
    (lambda spec: spec.update(hostNetwork=True), "hostNetwork"),
])
def test_the_policy_sees(spoil, said):
    job = copy.deepcopy(one(objects("indexed-job"), "Job"))
    assert not [*policy.problems(job)]
    spoil(job["spec"]["template"]["spec"])
    assert any(said in problem for problem in policy.problems(job)), [*policy.problems(job)]


@needs_kubectl
def test_the_network_policy_admits_labelled_pods_and_prometheus_alone():
    found = objects("indexed-job")
    guard = one(found, "NetworkPolicy")
    daemon = one(found, "StatefulSet")["spec"]["template"]
    assert policy.matches(guard["spec"]["podSelector"], daemon["metadata"]["labels"])
    assert guard["spec"]["policyTypes"] == ["Ingress"]
    relay = one(found, "Job")["spec"]["template"]["metadata"]["labels"]
    prometheus = {"app.kubernetes.io/name": "prometheus"}
    training, monitoring = ({"kubernetes.io/metadata.name": name} for name in ("training", "monitoring"))
    assert policy.admits(guard, training, relay, "grpc")
    assert not policy.admits(guard, training, relay, "http")
    assert not policy.admits(guard, training, {"app.kubernetes.io/name": "gpt"}, "grpc")
    assert policy.admits(guard, monitoring, prometheus, "http")
    assert not policy.admits(guard, monitoring, prometheus, "grpc")
    assert not policy.admits(guard, training, prometheus, "http")
    ports = {port["name"] for port in policy.container(daemon, "musterd")["ports"]}
    assert {port["port"] for rule in guard["spec"]["ingress"] for port in rule["ports"]} == ports == {"grpc", "http"}


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_refers_to_another_object_finds_it(overlay):
    found = objects(overlay)
    there = {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in found}
    for daemon in (o for o in found if o["kind"] == "StatefulSet"):
        here, template = daemon["metadata"]["namespace"], daemon["spec"]["template"]
        labels = template["metadata"]["labels"]
        assert daemon["spec"]["replicas"] == 1
        assert ("Service", here, daemon["spec"]["serviceName"]) in there
        assert ("ServiceAccount", here, template["spec"]["serviceAccountName"]) in there
        assert ("Namespace", None, here) in there
        for volume in template["spec"]["volumes"]:
            if "configMap" in volume:
                assert ("ConfigMap", here, volume["configMap"]["name"]) in there
        assert policy.matches(daemon["spec"]["selector"], labels)
        ports = {port["name"]: port["containerPort"] for port in policy.container(template, "musterd")["ports"]}
        for other in (o for o in found if o["metadata"].get("namespace") == here):
            if other["kind"] == "Service":
                assert policy.matches({"matchLabels": other["spec"]["selector"]}, labels)
                for port in other["spec"]["ports"]:
                    assert port["port"] == ports[port["targetPort"]]
            if other["kind"] == "PodDisruptionBudget":
                assert policy.matches(other["spec"]["selector"], labels)
            if other["kind"] == "ServiceMonitor":
                service = one(found, "Service", "musterd")
                assert policy.matches(other["spec"]["selector"], service["metadata"]["labels"])
                headless = one(found, "Service", "musterd-headless")
                assert not policy.matches(other["spec"]["selector"], headless["metadata"]["labels"])
                assert {each["port"] for each in other["spec"]["endpoints"]} <= set(ports)
    upstreams = [
        variable["value"] for o in found for _, template in policy.pod_templates(o)
        for each in policy.containers(template) for variable in each.get("env", [])
        if variable["name"] == "MUSTERD_UPSTREAM"
    ]
    assert upstreams or overlay == "production"
    for upstream in upstreams:
        service, namespace = re.fullmatch(r"(?:tls://)?([\w-]+)\.([\w-]+)\.svc:7600", upstream).groups()
        assert ("Service", namespace, service) in there


@needs_kubectl
def test_the_monitors_find_what_they_scrape():
    monitor = one(objects("production"), "PodMonitor")
    for overlay, kind in TRAININGS.items():
        for _, template in policy.pod_templates(one(objects(overlay), kind)):
            assert policy.matches(monitor["spec"]["selector"], template["metadata"]["labels"])
            [port] = policy.container(template, "muster")["ports"]
            assert [each["port"] for each in monitor["spec"]["podMetricsEndpoints"]] == [port["name"]]


@needs_kubectl
@needs_npm
def test_the_plain_sidecar_is_a_container_that_ends_with_the_training(checker, tmp_path):
    texts = [beside(tmp_path, "sidecar-plain", overlay) for overlay in TRAININGS]
    assert checked(checker, tmp_path, texts) == [([], [])] * len(texts)
    for text, kind in zip(texts, TRAININGS.values()):
        found = list(yaml.safe_load_all(text))
        assert [problem for each in found for problem in policy.problems(each)] == []
        scripts = one(found, "ConfigMap")
        assert set(scripts["data"]) == {"relay.sh", "beside.sh"}
        for _, template in policy.pod_templates(one(found, kind)):
            assert "initContainers" not in template["spec"]
            relay, ranks = policy.container(template, "muster"), template["spec"]["containers"][0]
            assert relay["command"] == ["sh", "/etc/muster-relay/relay.sh"]
            volumes = {v["name"]: v for v in template["spec"]["volumes"]}
            for each in (relay, ranks):
                mounts = {m["mountPath"]: m["name"] for m in each["volumeMounts"]}
                assert volumes[mounts["/etc/muster-relay"]]["configMap"]["name"] == scripts["metadata"]["name"]


@needs_kubectl
def test_many_daemons_write_to_one_store_under_names_of_their_own():
    found = objects("many-daemons")
    settings = [yaml.safe_load(o["data"]["musterd.yaml"])["remote_write"] for o in found if o["kind"] == "ConfigMap"]
    assert len(settings) == 2
    assert len({each["url"] for each in settings}) == 1
    assert len({each["external_labels"] for each in settings}) == 2
    upstreams = {o["spec"]["template"]["spec"]["initContainers"][0]["env"][0]["value"]
                 for o in found if o["kind"] == "Job"}
    assert upstreams == {"musterd.muster-a.svc:7600", "musterd.muster-b.svc:7600"}


@needs_kubectl
def test_with_tls_every_secret_has_its_certificate_and_every_caller_a_name():
    found = objects("tls")
    certificates = {(o["metadata"]["namespace"], o["spec"]["secretName"]): o["spec"]
                    for o in found if o["kind"] == "Certificate"}
    issuers = {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]): o["spec"]
               for o in found if o["kind"].endswith("Issuer")}
    for (namespace, _), spec in certificates.items():
        issuer = spec["issuerRef"]
        there = None if issuer["kind"] == "ClusterIssuer" else namespace
        authority = issuers[issuer["kind"], there, issuer["name"]]
        assert "selfSigned" in authority or certificates["cert-manager", authority["ca"]["secretName"]]["isCA"]

    used = {"server": certificates["muster", "musterd-tls"]}
    for kind, name in (("StatefulSet", "musterd"), ("Job", "muster")):
        each = one(found, kind)
        [(_, template)] = policy.pod_templates(each)
        container = policy.container(template, name)
        [volume] = [v for v in template["spec"]["volumes"] if "secret" in v]
        assert (each["metadata"]["namespace"], volume["secret"]["secretName"]) in certificates
        [folder] = [m["mountPath"] for m in container["volumeMounts"] if m["name"] == volume["name"]]
        # The key may be read by the group of the volume, which the pod's fsGroup says.
        assert volume["secret"]["defaultMode"] == 0o440 and template["spec"]["securityContext"]["fsGroup"]
        if kind == "StatefulSet":
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert container[probe]["httpGet"]["scheme"] == "HTTPS"
            [text] = [o["data"]["musterd.yaml"] for o in found
                      if o["kind"] == "ConfigMap" and "musterd.yaml" in o["data"]]
            paths = yaml.safe_load(text)["tls"].values()
        else:
            used["relay"] = certificates["training", volume["secret"]["secretName"]]
            variables = {v["name"]: v["value"] for v in container["env"]}
            assert variables["MUSTERD_UPSTREAM"].startswith("tls://")
            assert variables["MUSTERD_UPSTREAM"][6:].partition(":")[0] in used["server"]["dnsNames"]
            paths = [variables[f"MUSTER_{part}_FILE"] for part in ("CERT", "KEY", "CA")]
        assert sorted(paths) == [f"{folder}/{file}" for file in ("ca.crt", "tls.crt", "tls.key")]

    [endpoint] = one(found, "ServiceMonitor")["spec"]["endpoints"]
    scraper = endpoint["tlsConfig"]
    assert endpoint["scheme"] == "https" and scraper["serverName"] in used["server"]["dnsNames"]
    names = {scraper["ca"]["secret"]["name"], scraper["cert"]["secret"]["name"], scraper["keySecret"]["name"]}
    [used["prometheus"]] = [certificates["muster", name] for name in names]
    verbs = {rule["identity"]: rule["verbs"] for rule in yaml.safe_load(text)["auth"]["rules"]}
    for who, verb, usage in (("relay", "report", "client auth"), ("prometheus", "metrics", "client auth")):
        [name] = used[who]["dnsNames"]
        assert verbs[f"certificate:{name}"] == verb and usage in used[who]["usages"]
    assert "server auth" in used["server"]["usages"]


@needs_kubectl
def test_dashboards_are_the_files():
    found = {o["metadata"]["name"]: o for o in objects("production") if o["kind"] == "ConfigMap"}
    files = sorted((ROOT / "dashboards").glob("*.json"))
    assert len(files) == 3
    shown = [o for o in found.values() if o["metadata"]["labels"].get("grafana_dashboard") == "1"]
    assert {(name, text) for o in shown for name, text in o["data"].items()} == {(f.name, f.read_text()) for f in files}


@needs_npm
def test_the_prometheus_rule_is_made_from_the_rules(checker):
    rules = ROOT / "deploy" / "prometheus" / "muster.rules.yaml"
    made = npm_project.run(checker, "node", "out/main.js", "rule", str(rules))
    assert made == RULE.read_text(), "it is old: npm run generate in deploy/kubernetes/check"
    assert yaml.safe_load(made)["spec"] == yaml.safe_load(rules.read_text())


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("musterd.yaml")), ids=lambda file: file.parent.name)
def test_musterd_takes_the_configurations(file):
    if file.parent.name == "tls" and not (ROOT / "daemon" / "identity").exists():
        pytest.skip("musterd speaks no TLS yet")
    done = subprocess.run(
        [BUILD / "daemon" / "musterd", "--check-config", "--config", file], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_kubectl
@pytest.mark.parametrize("overlay, kind, name", [
    ("indexed-job", "StatefulSet", "musterd"), ("indexed-job", "Job", "muster"), ("tls", "Job", "muster"),
])
def test_musterd_takes_the_arguments(overlay, kind, name):
    [(_, template)] = policy.pod_templates(one(objects(overlay), kind))
    each = policy.container(template, name)
    configuration = FOLDER / "base" / "musterd.yaml"
    arguments = [a.replace("/etc/muster/musterd.yaml", str(configuration)) for a in each["args"]]
    variables = {v["name"]: v["value"] for v in each.get("env", [])}
    program = BUILD / "daemon" / "musterd"
    if name == "muster" and not (ROOT / "daemon" / "relay").exists():
        pytest.skip("musterd cannot be a relay yet")
    if overlay == "tls":
        keys = subprocess.run([program, "--print-config"], capture_output=True, text=True, check=True, timeout=60).stdout
        if not re.search(r"relay:\n *#.*tls://", keys):
            pytest.skip("a relay speaks no TLS yet")
    done = subprocess.run(
        [program, "--print-config", *arguments], env=variables, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    in_force = yaml.safe_load(done.stdout)
    if name == "muster":
        assert in_force["relay"]["upstream"] == variables["MUSTERD_UPSTREAM"]
        # Whom the socket's mode lets in: the training is another user.
        assert int(str(in_force["socket_mode"]), 8) & 0o006 == 0o006
        volumes = {v["name"]: v for v in template["spec"]["volumes"]}
        room = volumes["muster-spool"]["emptyDir"]["sizeLimit"]
        assert in_force["relay"]["spool_bytes"] * 1.2 < int(room.removesuffix("Gi")) * 2**30


def test_the_lock_file_names_no_registry():
    assert "resolved" not in (FOLDER / "check" / "package-lock.json").read_text()
