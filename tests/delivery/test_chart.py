"""The chart: every combination of features gives valid manifests, agents that load, and a pod that works."""

from __future__ import annotations

import itertools
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from aura_py.config import load
from aura_py.config.settings import ServerSettings, setting_of
from docs.references import chart
from tests.delivery import charts
from tests.delivery.charts import CHART, of_kind, render, run
from tests.delivery.containers import address, ask, contained

AGENT = """[agent]
name = "ops"
system_prompt = "Use {{ env.MISSING | default: 'nothing' }}."
[agent.llm]
provider = "scripted"
model = "demo"
[[agent.llm.rules]]
user = "^slow"
delay_ms = 1500
say = "Done slowly"
[[agent.llm.rules]]
say = "You said {{ user }}"
"""
ONE = {"agents": {"files": {"ops.toml": AGENT}}}
FEATURES: dict[str, dict[str, Any]] = {
    "reload off": {"agents": {"reload": False}},
    "values": {
        "agents": {
            "values": {
                "two": {
                    "agent": {
                        "name": 'two "quoted" <b>',
                        "system_prompt": "Line one\nline two\ttab",
                        "turn_depth": 7,
                        "llm": {
                            "provider": "scripted",
                            "model": "demo",
                            "rules": [{"say": "x", "tool_calls": [{"name": "t", "arguments": {"n": 1, "f": 1.5}}]}],
                        },
                    },
                    "memory_dir": "/tmp/aura",
                }
            }
        }
    },
    "secrets": {"secrets": {"values": {"OPENAI_API_KEY": "x"}}, "auth": {"existingSecret": "keys"}},
    "existing secrets": {"secrets": {"existingSecret": "providers"}, "imagePullSecrets": [{"name": "registry"}]},
    "server": {
        "server": {
            "publicUrl": "https://a.example.com",
            "defaultAgent": "ops",
            "logLevel": "debug",
            "extraArgs": ["--strict"],
            "workers": 2,
            "preStopSeconds": 0,
        }
    },
    "persistence": {"persistence": {"enabled": True, "storageClass": "fast", "accessModes": ["ReadWriteMany"]}},
    "skills": {"skills": {"configMap": "skills"}},
    "ingress": {
        "ingress": {"enabled": True, "className": "nginx", "tls": [{"secretName": "t", "hosts": ["a.example.com"]}]}
    },
    "gateway": {"gateway": {"enabled": True, "parentRefs": [{"name": "g"}], "hostnames": ["a.example.com"]}},
    "network policy": {"networkPolicy": {"enabled": True, "egressTo": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}},
    "autoscaling": {"autoscaling": {"enabled": True}},
    "disruptions": {"podDisruptionBudget": {"enabled": True}, "replicaCount": 2},
    "spread": {
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
        "nodeSelector": {"pool": "a"},
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "priorityClassName": "high",
        "runtimeClassName": "gvisor",
    },
    "extras": {
        "extraEnv": [{"name": "X", "value": "1"}],
        "extraEnvFrom": [{"configMapRef": {"name": "m"}}],
        "extraVolumes": [{"name": "tools", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "tools", "mountPath": "/tools"}],
        "initContainers": [{"name": "fetch", "image": "x:1", "command": ["cp"]}],
        "extraContainers": [{"name": "mcp", "image": "x:1"}],
        "podAnnotations": {"a": "b"},
        "podLabels": {"team": "x"},
        "extraObjects": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}, "data": {}}
        ],
    },
    "service account": {"serviceAccount": {"create": False, "name": "given"}},
    "digest": {"image": {"digest": "sha256:" + "0" * 64}, "fullnameOverride": "other"},
    "no probes": {"probes": {name: {"enabled": False} for name in ("startup", "liveness", "readiness")}},
}
HTTP_ROUTE = json.loads((Path(__file__).parent / "httproute-spec.json").read_text())
"""HTTPRoute v1 of https://github.com/kubernetes-sigs/gateway-api, cut to what validates; Apache License 2.0."""
PATHS = {value.path for value in chart.values() if not value.table}


def merged(*values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in values:
        for key, value in each.items():
            both = isinstance(value, dict) and isinstance(found.get(key), dict)
            found[key] = merged(found[key], value) if both else value
    return found


def test_the_schema_and_the_page_of_the_values_are_current() -> None:
    assert (CHART / "values.schema.json").read_text() == chart.schema_text(), "run `make docs`"
    assert chart.PAGE.read_text() == chart.page(), "run `make docs`"


def test_every_value_has_a_comment() -> None:
    assert [value.path for value in chart.values() if not value.meaning and not value.table] == []


def test_every_value_is_used_and_every_used_value_exists() -> None:
    text = "\n".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())
    used = set(re.findall(r"\.Values\.([\w.]+\w)", text))
    tables = {value.path for value in chart.values() if value.table}
    assert {path for path in used if path not in PATHS | tables} == set()
    within = {f"probes.{each}" for each in ("startup", "liveness", "readiness")}
    reached = used | {path for path in PATHS for table in within if path.startswith(f"{table}.")}
    assert PATHS - reached == set()
    for path in PATHS - used:
        assert f".{path.rpartition('.')[2]}" in text


def test_the_chart_and_the_package_have_one_version() -> None:
    from aura_py import __version__

    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (about["version"], about["appVersion"]) == (__version__, __version__)


def test_every_variable_is_one_of_auras() -> None:
    known = {s.variable for info in ServerSettings.model_fields.values() if (s := setting_of(info)) is not None}
    template = (CHART / "templates" / "deployment.yaml").read_text()
    assert set(re.findall(r"- name: ([A-Z][A-Z_]+)$", template, re.MULTILINE)) <= known


@pytest.fixture(scope="module", autouse=True)
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chart")


def check(manifests: list[dict[str, Any]], folder: Path) -> None:
    """Valid for Kubernetes, restricted, and with agents that load."""
    import kubernetes_validate

    for manifest in manifests:
        if manifest["apiVersion"].startswith("gateway."):
            jsonschema.validate(manifest, HTTP_ROUTE)
            continue
        kubernetes_validate.validate(manifest, "1.27", strict=True)
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    for deployment in of_kind(manifests, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        security = pod["containers"][0]["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        volumes = {volume["name"] for volume in pod["volumes"]}
        for each in pod["containers"]:
            assert {mount["name"] for mount in each.get("volumeMounts", ())} <= volumes
    for config in of_kind(manifests, "ConfigMap"):
        if not any(name.endswith(".toml") for name in config.get("data") or {}):
            continue
        directory = folder / f"agents-{len(list(folder.iterdir()))}"
        directory.mkdir()
        for name, text in config["data"].items():
            (directory / name).write_text(text)
        loaded = load(directory, env={"OPENAI_API_KEY": "x"})
        assert len(loaded.agents) == len(config["data"])


@pytest.mark.soak
@pytest.mark.timeout(1800)
class TestRendered:
    def test_lint(self) -> None:
        for extra in ([], ["--values", str(CHART / "values-dev.yaml")], ["--values", str(CHART / "values-prod.yaml")]):
            done = run("lint", "--strict", str(CHART), *extra, values=ONE)
            assert done.returncode == 0, done.stdout + done.stderr

    @pytest.mark.parametrize("name", ["values-dev.yaml", "values-prod.yaml"])
    def test_the_shipped_values_are_valid_and_their_agents_load(self, name: str, scratch: Path) -> None:
        check(render(None, "--values", str(CHART / name)), scratch)

    @pytest.mark.parametrize("name", FEATURES)
    def test_each_feature_alone(self, name: str, scratch: Path) -> None:
        check(render(merged(ONE, FEATURES[name])), scratch)

    def test_every_pair_of_features(self, scratch: Path) -> None:
        for first, second in itertools.combinations(FEATURES, 2):
            check(render(merged(ONE, FEATURES[first], FEATURES[second])), scratch)

    def test_all_features_at_once(self, scratch: Path) -> None:
        check(render(merged(ONE, *FEATURES.values())), scratch)

    def test_values_are_written_as_the_toml_they_mean(self, tmp_path: Path) -> None:
        import tomllib

        [config] = of_kind(render(merged(ONE, FEATURES["values"])), "ConfigMap")
        assert tomllib.loads(config["data"]["two.toml"]) == FEATURES["values"]["agents"]["values"]["two"]
        assert config["data"]["ops.toml"].rstrip() == AGENT.rstrip()

    @pytest.mark.parametrize(
        ("source", "volume"),
        [
            ({"existingConfigMap": "c"}, {"configMap": {"name": "c"}}),
            ({"existingSecret": "s"}, {"secret": {"secretName": "s"}}),
            ({"existingClaim": "v"}, {"persistentVolumeClaim": {"claimName": "v", "readOnly": True}}),
        ],
    )
    def test_agents_may_come_from_what_exists(self, source: dict[str, str], volume: dict[str, Any]) -> None:
        manifests = render({"agents": source})
        assert of_kind(manifests, "ConfigMap") == []
        [deployment] = of_kind(manifests, "Deployment")
        found = next(v for v in deployment["spec"]["template"]["spec"]["volumes"] if v["name"] == "agents")
        assert found == {"name": "agents", **volume}

    @pytest.mark.parametrize(
        ("values", "told"),
        [
            ({}, "There are no agents"),
            (merged(ONE, {"persistence": {"enabled": True}, "replicaCount": 2}), "More than one pod shares the volume"),
            (merged(ONE, {"gateway": {"enabled": True}}), "gateway.enabled needs gateway.parentRefs"),
            ({"agents": {"files": {"a.txt": "x"}}}, "must end with .toml"),
            (merged(ONE, {"replicacount": 2}), "replicacount"),
            (merged(ONE, {"server": {"port": "http"}}), "port"),
        ],
    )
    def test_what_cannot_work_is_refused(self, values: dict[str, Any], told: str) -> None:
        done = run("template", "demo", str(CHART), values=values)
        assert done.returncode != 0
        assert told in done.stderr

    def test_a_changed_agent_replaces_pods_only_without_reload(self) -> None:
        def annotations(**agents: Any) -> Any:
            [deployment] = of_kind(render({"agents": agents}), "Deployment")
            return deployment["spec"]["template"]["metadata"]["annotations"]

        other = {"ops.toml": AGENT.replace("Done", "Ready")}
        before, after = (annotations(files=each, reload=False) for each in (ONE["agents"]["files"], other))
        assert before["checksum/agents"] != after["checksum/agents"]
        assert annotations(files=ONE["agents"]["files"]) == annotations(files=other) is None

    def test_the_grace_period_covers_the_drain(self) -> None:
        [deployment] = of_kind(render(merged(ONE, {"server": {"shutdownTimeoutSecs": 100}})), "Deployment")
        assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 100 + 15 + 5


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str, Path, list[dict[str, Any]]]]:
    """The rendered pod as a local process: its command, its variables, its files behind a `..data` link."""
    manifests = render(merged(ONE, {"server": {"shutdownTimeoutSecs": 5}}))
    [config] = of_kind(manifests, "ConfigMap")
    mounted = tmp_path / "etc-aura"
    mounted.mkdir()
    publish(mounted, config["data"])
    tmp_path.chmod(0o755)
    command, variables = charts.local_command(manifests, {"CONFIG_PATH": str(mounted), "HOST": "127.0.0.1"})
    assert {each["mountPath"] for each in charts.container(manifests)["volumeMounts"]} == {"/etc/aura", "/tmp"}
    with contained(command, variables, files=tmp_path) as process:
        yield process, address(process), mounted, manifests


def publish(directory: Path, files: dict[str, str]) -> None:
    """As the kubelet does: a new folder, and a link that is replaced at once."""
    folder = directory / f"..{len(list(directory.iterdir()))}"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")
    link = directory / "..link"
    link.symlink_to(folder.name)
    link.rename(directory / "..data")


def chat(text: str) -> dict[str, Any]:
    return {"model": "ops", "messages": [{"role": "user", "content": text}]}


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_pod_answers_reloads_and_drains(
    pod: tuple[subprocess.Popen[str], str, Path, list[dict[str, Any]]],
) -> None:
    process, url, mounted, manifests = pod
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        path = charts.container(manifests)[probe]["httpGet"]["path"]
        assert ask(process, f"{url}{path}")[0] == 200
    assert "You said hi" in ask(process, f"{url}/v1/chat/completions", chat("hi"))[1]

    publish(mounted, {"ops.toml": AGENT.replace("You said", "You now said")})
    while "You now said hi" not in ask(process, f"{url}/v1/chat/completions", chat("hi"))[1]:
        pass  # a changed ConfigMap is noticed within two looks

    slow = subprocess.Popen(
        [
            *("nsenter", "--target", str(process.pid), "--net", "--", "curl", "-sN", f"{url}/v1/chat/completions"),
            *("-H", "Content-Type: application/json", "-d", json.dumps({**chat("slow"), "stream": True})),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert slow.stdout is not None
    assert "role" in slow.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert ask(process, f"{url}/health/ready")[0] == 503
    rest = slow.stdout.read()
    slow.wait()
    slow.stdout.close()
    assert "Done" in rest
    assert rest.rstrip().endswith("[DONE]")
    assert process.wait(30) == 0
