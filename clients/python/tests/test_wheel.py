"""The package as users install it: built and installed without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from latchkey.testing import _binary

PROJECT = Path(__file__).resolve().parents[1]
OFFLINE = {
    **os.environ,
    "PIP_NO_INDEX": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PYTHONPATH": "",
}


def run(*command: str, cwd: Path) -> str:
    made = subprocess.run(command, cwd=cwd, env=OFFLINE, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    return made.stdout


def test_the_wheel_builds_installs_and_works_offline(tmp_path: Path) -> None:
    source = shutil.copytree(PROJECT, tmp_path / "source")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist", cwd=source)
    (wheel,) = (source / "dist").iterdir()
    assert wheel.name == "latchkey-0.1.0-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    assert "latchkey/py.typed" in names
    assert "latchkey/aio/client.py" in names
    assert not [name for name in names if "test_" in name or "__pycache__" in name]
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target)]
    run(*pip, str(wheel), cwd=tmp_path)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import latchkey, importlib.metadata as m; "
        "print(latchkey.__file__, latchkey.__version__ == m.version('latchkey'), "
        "latchkey.AsyncClient().options.timeout_s, "
        "[r for r in m.requires('latchkey') if 'extra' not in r])"
    )
    printed = run(sys.executable, "-I", "-c", code, str(target), cwd=tmp_path)
    assert printed == f"{target}/latchkey/__init__.py True 5.0 []\n"


def test_the_plugin_comes_with_the_package(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    target = tmp_path / "installed"
    source = shutil.copytree(PROJECT, tmp_path / "source")
    run(*pip, "--target", str(target), str(source), cwd=tmp_path)
    (tmp_path / "test_it.py").write_text(
        "def test_it(latchkey_client):\n    assert latchkey_client.ping() is None\n"
    )
    environment = {**OFFLINE, "PYTHONPATH": str(target)}
    made = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "1 passed" in made.stdout, made.stdout + made.stderr


def test_the_program_is_that_of_the_environment_the_path_or_the_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "latchkey_server.py"
    module.write_text("def program():\n    return '/packaged/latchkey'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("LATCHKEY_BINARY", raising=False)
    assert _binary() == "/packaged/latchkey"
    (tmp_path / "latchkey").touch(0o755)
    assert _binary() == str(tmp_path / "latchkey")
    monkeypatch.setenv("LATCHKEY_BINARY", "/named/latchkey")
    assert _binary() == "/named/latchkey"


def test_without_a_program_the_error_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("LATCHKEY_BINARY", raising=False)
    monkeypatch.setitem(sys.modules, "latchkey_server", None)
    with pytest.raises(RuntimeError, match="pip install latchkey-server"):
        _binary()
