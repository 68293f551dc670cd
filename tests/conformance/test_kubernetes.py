"""`deploy/kubernetes`: in the form that Kubernetes takes, every pod hardened and within a policy, every setting one, every file there."""

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from gateway.app.host_checks import host_findings
from gateway.app.settings import Settings
from gateway.app.settings_checks import findings
from gateway.app.settings_sources import gathered
from gateway.app.workers import STOP_WAIT_S
from gateway.commands.command_line import command_line
from tests.support.fronts import fronted
from tests.support.guides import blocks, commands
from tests.support.production import home, nothing_said

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
OWN = "/run/tellergate"
PATCHES = "code"
"""A component, which is laid over what is there."""
Manifest = dict[str, Any]


def manifests(folder: Path) -> Iterator[Manifest]:
    for file in sorted(folder.rglob("*.yaml")):
        if file.parent.name != PATCHES:
            yield from (item for item in yaml.safe_load_all(file.read_text()) if item["kind"] != "Kustomization")


ALL = list(manifests(FOLDER))
PODS = {item["metadata"]["name"]: item["spec"]["template"] for item in ALL if item["kind"] in ("Deployment", "Job")}
POLICIES = [item["spec"] for item in ALL if item["kind"] == "NetworkPolicy"]
CONTAINERS = [
    (pod, container)
    for pod, template in PODS.items()
    for container in (*template["spec"]["initContainers"], *template["spec"]["containers"])
]


def container(name: str) -> Manifest:
    (found,) = (item for _, item in CONTAINERS if item["name"] == name)
    return found


def settings() -> Settings:
    said = gathered({}, {}, FOLDER / "tellergate.toml")
    return Settings(development=False, **{name: item.value for name, item in said.items()})  # type: ignore[arg-type]


@pytest.mark.parametrize("item", ALL, ids=lambda item: f"{item['kind']}-{item['metadata']['name']}")
def test_each_manifest_has_the_form_that_kubernetes_takes(item: Manifest) -> None:
    for version in ("1.29", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "init", FOLDER / "upgrade"], ids=lambda folder: folder.name)
def test_each_manifest_is_in_the_kustomization_of_its_folder(folder: Path) -> None:
    told = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(told["resources"]) == {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml"}
    files = [name for made in told.get("configMapGenerator", ()) for name in made["files"]]
    assert all((folder / name).is_file() for name in files)
    assert [image["name"] for image in told["images"]] == ["tellergate"]


@pytest.mark.parametrize(("pod", "item"), CONTAINERS, ids=lambda item: item["name"] if isinstance(item, dict) else item)
def test_each_container_has_no_rights_and_writes_nothing_but_its_own_folders(pod: str, item: Manifest) -> None:
    assert item["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
    }
    spec = PODS[pod]["spec"]
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
    assert not any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))
    assert item["image"] == "tellergate"
    assert "memory" in item["resources"]["limits"]
    assert {"cpu", "memory"} <= item["resources"]["requests"].keys()
    writable = {mount["name"] for mount in item["volumeMounts"] if not mount.get("readOnly")}
    assert writable <= {"own", "state", "tmp"}
    assert {mount["name"] for mount in item["volumeMounts"]} <= {volume["name"] for volume in spec["volumes"]}
    assert not any("hostPath" in volume for volume in spec["volumes"])


def chosen(policy: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    return bool(policy["podSelector"].get("matchLabels", {}).items() <= labels.items())


def test_nobody_reaches_anybody_but_for_what_is_said() -> None:
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in POLICIES, "default deny"
    rules = [rule for policy in POLICIES for rule in (*policy.get("ingress", ()), *policy.get("egress", ()))]
    assert all(rule.get("ports") and (rule.get("from") or rule.get("to")) for rule in rules), "none for every port or everybody"
    blocks_of = [peer["ipBlock"]["cidr"] for rule in rules for peer in rule.get("to", ()) if "ipBlock" in peer]
    assert all(cidr.endswith("/32") for cidr in blocks_of)
    reached: dict[int, set[str]] = {}
    for policy in POLICIES:
        for rule in policy.get("ingress", ()):
            for port in rule["ports"]:
                reached.setdefault(port["port"], set()).update(
                    yaml.safe_dump(peer, default_flow_style=True) for peer in rule["from"]
                )
    assert {port: len(peers) for port, peers in reached.items()} == {8443: 1, 9443: 1, 9000: 1}
    assert "administration" in reached[9443].pop()


@pytest.mark.parametrize("pod", PODS)
def test_what_a_pod_asks_is_let_out_and_what_it_serves_is_let_in(pod: str) -> None:
    labels = PODS[pod]["metadata"]["labels"]
    own = [policy for policy in POLICIES if policy["podSelector"] and chosen(policy, labels)]
    listened = {port["containerPort"] for item in PODS[pod]["spec"]["containers"] for port in item.get("ports", ())}
    let_in = {port["port"] for policy in own for rule in policy.get("ingress", ()) for port in rule["ports"]}
    assert let_in == listened
    needs = {"gateway": {9000, 5432, 443}, "core-proxy": {443}, "upgrade": {5432}, "init": set()}[pod]
    assert {port["port"] for policy in own for rule in policy.get("egress", ()) for port in rule["ports"]} == needs


def test_services_budgets_and_scaling_choose_pods_that_there_are() -> None:
    named = {item["metadata"]["name"] for item in ALL if item["kind"] == "Deployment"}
    for item in ALL:
        spec = item.get("spec", {})
        if item["kind"] == "Service":
            (pod,) = [template for template in PODS.values() if spec["selector"].items() <= template["metadata"]["labels"].items()]
            ports = {port["name"] for served in pod["spec"]["containers"] for port in served["ports"]}
            assert {port["targetPort"] for port in spec["ports"]} <= ports
            assert spec.get("type", "ClusterIP") == "ClusterIP"
        elif item["kind"] == "PodDisruptionBudget":
            (pod,) = [name for name in named if chosen({"podSelector": spec["selector"]}, PODS[name]["metadata"]["labels"])]
        elif item["kind"] == "HorizontalPodAutoscaler":
            assert spec["scaleTargetRef"]["name"] in named
            assert spec["minReplicas"] == 2
    (operations,) = [item["spec"] for item in ALL if item["kind"] == "Service" and item["metadata"]["name"] == "operations"]
    assert operations["publishNotReadyAddresses"] is True, "officers stop agents by a gateway that customers are not sent to"
    for name in named:
        (deployment,) = [item for item in ALL if item["kind"] == "Deployment" and item["metadata"]["name"] == name]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        anti = deployment["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]
        (term,) = anti["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["labelSelector"]["matchLabels"] == labels


def test_what_is_under_way_has_the_time_to_end() -> None:
    for pod in ("gateway", "core-proxy"):
        spec = PODS[pod]["spec"]
        (served,) = spec["containers"]
        slept_s = int(served["lifecycle"]["preStop"]["exec"]["command"][1])
        assert spec["terminationGracePeriodSeconds"] >= slept_s + STOP_WAIT_S + 5


def test_the_settings_are_settings_and_nothing_of_them_is_unsafe() -> None:
    said = settings()
    assert findings(said) == []
    ports = {port["name"]: port["containerPort"] for port in container("gateway")["ports"]}
    assert ports == {"api": said.port, "operations": said.operations_port}
    (begun,) = [item["value"] for item in container("permits")["env"] if item["name"] == "TELLERGATE_LOG_ORIGIN"]
    assert begun == said.log_origin, "a log keeps the name under which it began"
    (mount,) = [item for item in container("gateway")["volumeMounts"] if item["name"] == "state"]
    assert mount["mountPath"] == str(said.data)


def made_beside() -> dict[str, set[str]]:
    """The names of the files in each secret and config map that the guide's commands make, and in the generated one."""
    (block,) = [item for item in blocks(FOLDER.parent / "README.md") if "tests/conformance/test_kubernetes.py" in item.note]
    made = {"settings": {"tellergate.toml"}}
    for line in commands(block):
        words = shlex.split(line)
        if words[2] not in ("secret", "configmap"):
            continue
        name = words[3] if words[2] == "configmap" else words[4]
        made[name] = {word.removeprefix("--from-file=").split("=")[0] for word in words if word.startswith("--from-file=")}
    return made


@pytest.mark.parametrize("pod", PODS)
def test_every_file_that_is_named_is_made(pod: str) -> None:
    spec, made = PODS[pod]["spec"], made_beside()
    sources = [volume.get("configMap", {}).get("name") or volume.get("secret", {}).get("secretName") for volume in spec["volumes"]]
    there = set().union(*(made[source] for source in sources if source))
    named = set(re.findall(rf"{OWN}/([a-z0-9.-]+)", yaml.safe_dump(spec)))
    if pod == "gateway":
        named |= set(re.findall(rf"{OWN}/([a-z0-9.-]+)", (FOLDER / "tellergate.toml").read_text()))
    assert named <= there
    assert not {"bank-token"} & made["gateway"], "the gateway never holds the bank's credential"


def test_what_the_first_container_makes_of_a_cluster_s_files_is_what_the_gateway_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster has them readable by a group, behind links, in folders that anybody may write; the folder within is mounted by itself."""
    nothing_said(monkeypatch)
    good = home(tmp_path / "made")
    given = ("key_passphrase_file", "core_credential_file", "policy_officers")
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for name in given:
        file: Path = getattr(good, name)
        folder = tmp_path / "from" / ("public" if name == "policy_officers" else "secrets")
        (folder / "..data").mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / "..data" / file.name)
        (folder / "..data" / file.name).chmod(0o440)
        (folder / file.name).symlink_to(Path("..data") / file.name)
        folder.chmod(0o777)
        before[name], after[name] = folder / file.name, tmp_path / "volume" / "own" / file.name
    (tmp_path / "volume").mkdir()
    shell, option, script = PODS["gateway"]["spec"]["initContainers"][0]["command"]
    for _ in range(2):  # a container may be started again
        moved = re.sub(r"(?<=[ ])/(volume|from)", rf"{tmp_path}/\1", script)
        subprocess.run([shell, option, moved], check=True)
    assert {item.setting for item in host_findings(replace(good, **before))} >= set(given)
    assert host_findings(replace(good, **after)) == host_findings(good)
    assert {item["command"][2] for _, item in CONTAINERS if item["name"] == "own-files"} == {script}


def test_the_probes_are_answered(tmp_path: Path) -> None:
    served = container("gateway")
    paths = {served[kind]["httpGet"]["path"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"/livez", "/readyz"}
    assert served["livenessProbe"]["httpGet"]["path"] == "/livez", "a database that is away is no reason to be killed"
    with fronted(tmp_path) as front, front.client("127.0.0.1") as http:
        assert {path: http.get(path).status_code for path in paths} == dict.fromkeys(paths, 200)


def test_kustomize_takes_it() -> None:
    program = shutil.which("kustomize") or shutil.which("kubectl")
    if program is None:
        pytest.skip("neither kustomize nor kubectl is installed")
    verb = ["build"] if program.endswith("kustomize") else ["kustomize"]
    built = subprocess.run([program, *verb, str(FOLDER)], check=True, capture_output=True, text=True).stdout
    images = set(re.findall(r"image: (\S+)", built))
    assert images == {"registry.bank.example/tellergate:0.1.0"}
    (made,) = [item for item in yaml.safe_load_all(built) if item["kind"] == "ConfigMap"]
    assert tomllib.loads(made["data"]["tellergate.toml"]) == tomllib.loads((FOLDER / "tellergate.toml").read_text())


def test_the_component_of_the_code_interpreter_adds_a_worker_that_has_nothing_of_the_gateway_s(tmp_path: Path) -> None:
    program = shutil.which("kustomize") or shutil.which("kubectl")
    if program is None:
        pytest.skip("neither kustomize nor kubectl is installed")
    shutil.copytree(FOLDER, tmp_path / "base")
    (tmp_path / "kustomization.yaml").write_text("resources: [base]\ncomponents: [base/code]\n")
    verb = ["build"] if program.endswith("kustomize") else ["kustomize"]
    built = subprocess.run([program, *verb, str(tmp_path)], check=True, capture_output=True, text=True).stdout
    (made,) = [item for item in yaml.safe_load_all(built) if item["kind"] == "Deployment" and item["metadata"]["name"] == "gateway"]
    for version in ("1.29", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(made, version, strict=True)
    spec = made["spec"]["template"]["spec"]
    worker, gateway = (next(item for item in spec["containers"] if item["name"] == name) for name in ("code", "gateway"))
    assert [mount["name"] for mount in worker["volumeMounts"]] == ["code"]
    assert "env" not in worker
    assert worker["securityContext"]["runAsUser"] not in (0, spec["securityContext"]["runAsUser"])
    assert worker["securityContext"] | {"runAsUser": 0} == gateway["securityContext"] | {"runAsUser": 0}
    told = command_line().parse_args(worker["args"])
    (mount,) = [mount for mount in gateway["volumeMounts"] if mount["name"] == "code"]
    assert mount["readOnly"]
    assert str(told.socket).startswith(mount["mountPath"])
    assert told.group
    assert {"own", "settings", "secrets", "code"} <= {volume["name"] for volume in spec["volumes"]}
    assert not any("hostPath" in volume for volume in spec["volumes"])
    assert worker["image"] == gateway["image"] == "registry.bank.example/tellergate:0.1.0"
