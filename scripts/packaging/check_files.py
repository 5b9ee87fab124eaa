"""Checks the files of a release without running the program.

Usage: check_files.py DIST PROJECT

The checksums, the tag of the wheel, what the program needs, the bill of materials, and the Helm
chart: as Helm and the schemas of Kubernetes see it, and compared with deploy/kubernetes.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from helm_python.chart import Chart, lint

ALLOWED = re.compile(r"(lib(c|m|stdc\+\+|gcc_s)|ld-linux[-\w]*)\.so\.\d+")
"""The shared libraries that the program may need."""


def only(folder: Path, pattern: str) -> Path:
    """The file of a pattern. Raises SystemExit if there is none, or more than one."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise SystemExit(f"check_files.py: {pattern} is {len(found)} files in {folder}")
    return found[0]


def checksums(dist: Path) -> None:
    """Every file has its checksum, and no other."""
    listed = {}
    for line in (dist / "SHA256SUMS").read_text("utf-8").splitlines():
        digest, name = line.split("  ")
        listed[name] = digest
    made = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in dist.iterdir()
        if path.name != "SHA256SUMS"
    }
    assert listed == made, (listed, made)


def program(dist: Path, folder: Path) -> bytes:
    """The program of the archive, which is that of the wheel; it needs four libraries at most."""
    with tarfile.open(only(dist, "latchkey-*-linux-*.tar.gz")) as archive:
        (member,) = [one for one in archive.getmembers() if one.name.endswith("/latchkey")]
        file = archive.extractfile(member)
        assert file is not None and member.mode == 0o755
        content = file.read()
    (folder / "latchkey").write_bytes(content)
    printed = subprocess.run(
        ["objdump", "-p", folder / "latchkey"], check=True, capture_output=True, text=True
    ).stdout
    needed = re.findall(r"NEEDED +(\S+)", printed)
    assert needed and all(ALLOWED.fullmatch(name) for name in needed), needed
    wheel = zipfile.ZipFile(only(dist, "latchkey_server-*.whl"))
    (name,) = [name for name in wheel.namelist() if name.endswith(".data/scripts/latchkey")]
    assert wheel.read(name) == content
    assert wheel.getinfo(name).external_attr >> 16 & 0o111
    return content


def platform(dist: Path) -> None:
    """The wheel runs where its tag says, and on no older systems that auditwheel knows."""
    wheel = only(dist, "latchkey_server-*.whl")
    tag = wheel.name.removesuffix(".whl").split("-")[-1]
    assert tag.startswith("manylinux_2_"), tag
    command = [str(Path(sys.executable).parent / "auditwheel"), "show", str(wheel)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert f'following platform tag: "{tag}"' in " ".join(printed.split()), printed


def bill(dist: Path, content: bytes) -> None:
    """The bill of materials keeps to its schema, is of this program, and has its libraries."""
    text = only(dist, "latchkey-*.cdx.json").read_text("utf-8")
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert error is None, error
    document = json.loads(text)
    (digest,) = document["metadata"]["component"]["hashes"]
    assert digest["content"] == hashlib.sha256(content).hexdigest()
    names = {one["name"] for one in document["components"]}
    assert names >= {"libhiredis-dev", "libevent-dev", "libssl-dev", "swift", "libc6"}, names


def npm_package(dist: Path) -> None:
    """Everything that the package exports is in it, with types, and no sources and tests."""
    with tarfile.open(only(dist, "latchkey-[0-9]*.tgz")) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
        file = archive.extractfile("package/package.json")
        assert file is not None
        package = json.load(file)
    for target in package["exports"].values():
        for path in target.values() if isinstance(target, dict) else [target]:
            pattern = re.escape(path.removeprefix("./")).replace(r"\*", r"[\w-]+")
            assert any(re.fullmatch(pattern, name) for name in names), path
    others = {name for name in names if not name.startswith("dist/")}
    assert others == {"LICENSE", "README.md", "package.json"}, others
    assert not package.get("dependencies"), package["dependencies"]


def documents(rendered: dict[str, str]) -> Iterator[dict[str, Any]]:
    """The objects of rendered templates."""
    for name, text in rendered.items():
        if name.endswith(".yaml"):
            yield from (one for one in yaml.safe_load_all(text) if one)


def without_instance(value: Any) -> Any:
    """The same without what only a chart has: an instance, images that are pulled, annotations."""
    if isinstance(value, list):
        return [without_instance(one) for one in value]
    if not isinstance(value, dict):
        return value
    labels = ("app.kubernetes.io/", "helm.sh/")
    return {
        key: without_instance(one)
        for key, one in value.items()
        if key not in ("annotations", "image", "imagePullPolicy")
        and (key == "app.kubernetes.io/name" or not key.startswith(labels))
    }


def kustomized(project: Path) -> dict[str, Any]:
    """The specification of each kind in deploy/kubernetes, and the settings."""
    folder = project / "deploy" / "kubernetes"
    names = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))["resources"]
    objects = [yaml.safe_load((folder / name).read_text("utf-8")) for name in names]
    found = {one["kind"]: without_instance(one["spec"]) for one in objects if "spec" in one}
    found["Service"]["type"] = "ClusterIP"
    lines = (folder / "workers.env").read_text("utf-8").splitlines()
    found["ConfigMap"] = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    return found


def chart(dist: Path, project: Path, folder: Path) -> None:
    """Helm accepts the chart, Kubernetes what it renders, and both ways deploy the same."""
    archive = only(dist, "latchkey-chart-*.tgz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "chart", filter="data")
    report = lint(str(folder / "chart" / "latchkey"), strict=True)
    assert report["total_charts_linted"] == 1 and not report["errors"], report
    assert not [one for one in report["messages"] if one["severity"] > 1], report
    loaded = Chart.load(str(archive))
    plain = loaded.render(name="latchkey", namespace="latchkey")
    rendered = {
        one["kind"]: without_instance(one.get("spec", one.get("data"))) for one in documents(plain)
    }
    assert rendered == kustomized(project), "the chart and deploy/kubernetes differ"
    everything = {
        "autoscaling": {"enabled": False},
        "service": {"type": "LoadBalancer", "annotations": {"a/b": "c"}},
        "tls": {"secret": "latchkey-tls"},
        "redis": {"secret": "latchkey-redis", "mount": True},
        "networkPolicy": {"redisPorts": [6379, 26379], "hookPorts": [443]},
        "imagePullSecrets": [{"name": "registry"}],
        "podLabels": {"team": "sessions"},
        "podAnnotations": {"a/b": "c"},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "settings": {"LATCHKEY_THREADS": 4, "LATCHKEY_MAX_BUFFERED": 268435456},
    }
    other = loaded.render(everything, name="blue", namespace="sessions")
    names = {one["metadata"]["name"] for one in documents(other)}
    assert names == {"blue-latchkey"}, names
    (settings,) = [one["data"] for one in documents(other) if one["kind"] == "ConfigMap"]
    assert settings["LATCHKEY_MAX_BUFFERED"] == "268435456", settings
    assert settings["LATCHKEY_TLS_CERT"] == "/etc/latchkey-tls/tls.crt", settings
    monitored = loaded.render({"podMonitor": {"enabled": True}}, name="l", namespace="l")
    assert "PodMonitor" in {one["kind"] for one in documents(monitored)}
    for wrong in ({"ports": {"lines": 0}}, {"settings": {"LATCHKEY_REDIS": "x"}}, {"imgae": {}}):
        try:
            loaded.validate_schema(wrong)
        except Exception:
            continue
        raise AssertionError(f"the schema of the values accepts {wrong}")
    examples = sorted((folder / "chart" / "latchkey" / "examples").glob("*.yaml"))
    assert len(examples) == 3, examples
    forms = [
        loaded.render(yaml.safe_load(one.read_text("utf-8")), name="latchkey", namespace="latchkey")
        for one in examples
    ]
    for number, each in enumerate((plain, other, *forms)):
        place = folder / f"rendered-{number}.yaml"
        place.write_text(yaml.safe_dump_all(documents(each)), "utf-8")
        validate(place, len([*documents(each)]))


def validate(manifests: Path, count: int) -> None:
    """The schemas of the oldest and the newest supported Kubernetes accept all objects."""
    command = str(Path(sys.executable).parent / "kubernetes-validate")
    for version in ("1.27.0", "1.37.0"):
        run = subprocess.run(
            [command, "-k", version, "--strict", str(manifests)], capture_output=True, text=True
        )
        printed = run.stdout + run.stderr
        assert run.returncode == 0 and "WARN" not in printed, printed
        assert printed.count("passed for resource") == count, printed


def main() -> None:
    """Runs all checks; the first that fails ends the program."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    dist, project = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        checksums(dist)
        content = program(dist, folder)
        platform(dist)
        bill(dist, content)
        npm_package(dist)
        chart(dist, project, folder)
    print("check_files.py: 6 passed, 0 failed")


if __name__ == "__main__":
    main()
