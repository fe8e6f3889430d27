"""What every Kubernetes object of deploy/ is held to, whichever tool rendered it."""

CLIENT_LABEL = "muster-client"
OURS = ("muster", "musterd")
# What would make a rank's identity out of a pod's.
_IDENTITY = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "NODE_RANK", "GROUP_RANK"}
_DOWNWARD = {"metadata.name", "spec.nodeName"}


def pod_templates(thing, where=""):
    """(where, template) of each pod template in an object, however deep."""
    if isinstance(thing, dict):
        for key, value in thing.items():
            inner = f"{where}.{key}"
            if key == "template" and "containers" in (value.get("spec") or {}):
                yield inner, value
            yield from pod_templates(value, inner)
    elif isinstance(thing, list):
        for index, value in enumerate(thing):
            yield from pod_templates(value, f"{where}[{index}]")


def containers(template):
    spec = template["spec"]
    return spec.get("initContainers", []) + spec["containers"]


def container(template, name):
    [found] = [each for each in containers(template) if each["name"] == name]
    return found


def problems(thing):
    """What is wrong with the pods of an object, in words."""
    name = f"{thing['kind']} {thing['metadata']['name']}"
    for where, template in pod_templates(thing):
        found = [*_problems_of_pod(template["spec"])]
        for each in containers(template):
            found += [f"{each['name']}: {what}" for what in _problems_of_container(each)]
        if any(each["name"] == "muster" for each in containers(template)):
            found += _problems_of_relay(template)
        yield from (f"{name}{where}: {what}" for what in found)


def _problems_of_pod(spec):
    for key in ("automountServiceAccountToken", "enableServiceLinks"):
        if spec.get(key) is not False:
            yield f"{key} is not false"
    for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        if spec.get(key):
            yield f"{key} is set"
    yield from _problems_of_identity("pod", spec.get("securityContext", {}))
    for volume in spec.get("volumes", []):
        if "hostPath" in volume:
            yield f"volume {volume['name']} is a path of the host"


def _problems_of_identity(what, context):
    if context.get("runAsNonRoot") is not True:
        yield f"{what} may run as root"
    if not isinstance(context.get("runAsUser"), int) or context["runAsUser"] < 1:
        yield f"{what} has no fixed user"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield f"{what} has no seccomp profile"


def _problems_of_container(each):
    context = each.get("securityContext", {})
    yield from _problems_of_identity("it", context)
    if context.get("readOnlyRootFilesystem") is not True:
        yield "its root file system can be written"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "it may gain privileges"
    if context.get("privileged"):
        yield "it is privileged"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "it keeps capabilities"
    image = each.get("image", "")
    tag = image.rpartition("/")[2].partition(":")[2]
    if "@sha256:" not in image and tag in ("", "latest"):
        yield f"image {image!r} is of no fixed version"
    if each["name"] in OURS:
        resources = each.get("resources", {})
        if not {"cpu", "memory"} <= set(resources.get("requests", {})):
            yield "it requests no CPU or memory"
        if "memory" not in resources.get("limits", {}):
            yield "its memory has no limit"
    for variable in each.get("env", []):
        field = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        if variable["name"] in _IDENTITY:
            yield f"{variable['name']} is set: ranks say themselves who they are"
        if field is not None and field not in _DOWNWARD:
            yield f"{variable['name']} comes from {field}"


def _problems_of_relay(template):
    relay = container(template, "muster")
    if CLIENT_LABEL not in template["metadata"].get("labels", {}):
        yield f"no label {CLIENT_LABEL}: the central daemon's policy does not admit it"
    [socket] = [a.partition("unix:")[2] for a in relay["args"] if a.startswith("--grpc-address=")]
    mounts = {m["mountPath"]: m["name"] for m in relay["volumeMounts"]}
    volumes = {v["name"]: v for v in template["spec"]["volumes"]}
    folder = socket.rpartition("/")[0]
    if volumes.get(mounts.get(folder), {}).get("emptyDir", {}).get("medium") != "Memory":
        yield "the socket's folder is not in memory"
    [spool] = [a.partition("=")[2] for a in relay["args"] if a.startswith("--spool-dir=")]
    if "emptyDir" not in volumes.get(mounts.get(spool), {}) or mounts[spool] == mounts.get(folder):
        yield "the spool has no volume of its own"
    if relay["livenessProbe"]["httpGet"]["path"] != "/healthz":
        yield "liveness depends on more than the relay's own health"
    for probe in ("startupProbe", "readinessProbe"):
        if probe in relay:
            yield f"a {probe} would hold up the training"
    users = [
        each for each in template["spec"]["containers"]
        if any(v["name"] == "MUSTER_ADDRESS" for v in each.get("env", []))
    ]
    if not users:
        yield "no container reports to the relay"
    for each in users:
        [address] = [v["value"] for v in each["env"] if v["name"] == "MUSTER_ADDRESS"]
        if address != f"unix:{socket}":
            yield f"{each['name']} reports to {address}, the relay listens at {socket}"
        if (folder, mounts.get(folder)) not in {(m["mountPath"], m["name"]) for m in each["volumeMounts"]}:
            yield f"{each['name']} does not see the socket"
    native = relay in template["spec"].get("initContainers", [])
    if native and relay.get("restartPolicy") != "Always":
        yield "an init container without restartPolicy Always would be waited for"


def matches(selector, labels):
    """Whether a label selector selects what has these labels."""
    wanted = selector.get("matchLabels", {})
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    for each in selector.get("matchExpressions", []):
        assert each["operator"] == "Exists", "extend this function"
        if each["key"] not in labels:
            return False
    return True


def admits(policy, namespace_labels, pod_labels, port):
    """Whether a NetworkPolicy lets such a pod in to the named port."""
    return any(
        matches(source.get("namespaceSelector", {}), namespace_labels)
        and matches(source.get("podSelector", {}), pod_labels)
        for rule in policy["spec"]["ingress"]
        if port in [each["port"] for each in rule["ports"]]
        for source in rule["from"]
    )
