"""Installs, upgrades, removes and purges the .deb, in a bare Debian that is booted, as root.

Usage: check_deb.py DIST TUTORIAL
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from callers import Caller

SETTINGS = Path("/etc/latchkey/worker.env")
OLDER = "/check/latchkey_0.0.1.deb"


def run(*command: str) -> str:
    """What a command prints. Raises SystemExit with all of it if the command fails."""
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode != 0:
        log = subprocess.run(["journalctl", "-n", "40"], capture_output=True, text=True).stdout
        raise SystemExit(f"{command}: status {made.returncode}\n{made.stdout}{made.stderr}\n{log}")
    return made.stdout


def failure(*command: str) -> str:
    """What a command that has to fail prints."""
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode != 0, made.stdout
    return made.stdout + made.stderr


def apt(*arguments: str) -> str:
    """Runs apt-get as unattended upgrades do: edited settings stay as they are."""
    options = ["-y", "-q", "-o", "Dpkg::Options::=--force-confdef"]
    return run("apt-get", *options, "-o", "Dpkg::Options::=--force-confold", *arguments)


def state(unit: str) -> str:
    """`active`, `inactive`, `failed` …"""
    command = ["systemctl", "is-active", unit]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def main_pid(unit: str) -> int:
    """The process of a unit's worker."""
    return int(run("systemctl", "show", "--property=MainPID", "--value", unit))


def call(request: str, port: int = 5282) -> str:
    """A worker's reply to one request."""
    return run("latchkey", "call", "--to", f"127.0.0.1:{port}", *request.split(" "))


def test_install(newest: str, page: str) -> None:
    """A bare system has a worker after one command, as a user without rights."""
    assert not shutil.which("swift") and not shutil.which("redis-server")
    apt("install", OLDER)
    assert state("latchkey.service") == "active", run("journalctl", "--unit", "latchkey")
    assert run("systemctl", "is-enabled", "latchkey.service") == "enabled\n"
    owner = os.stat(f"/proc/{main_pid('latchkey.service')}").st_uid
    assert pwd.getpwuid(owner).pw_name == "latchkey"
    assert SETTINGS.stat().st_mode & 0o777 == 0o600
    libraries = run("ldd", "/usr/bin/latchkey")
    assert "not found" not in libraries and len(libraries.splitlines()) <= 6, libraries


def test_tutorial(newest: str, page: str) -> None:
    """The service that is running serves the tutorial, with the client in its wheel."""
    (wheel,) = Path(newest).parent.glob("latchkey-*-py3-none-any.whl")
    run("env", f"PYTHONPATH={wheel}", "python3", "/check/pages.py", page)


def test_several_workers(newest: str, page: str) -> None:
    """Two more share the system's Redis; the ports of 2 and 3 are taken by the first."""
    assert state("redis-server.service") == "active"
    for number in (4, 5):
        Path(f"/etc/latchkey/worker-{number}.env").write_text(
            "LATCHKEY_REDIS=redis://127.0.0.1:6379\nLATCHKEY_DRAIN_DELAY=0s\n"
        )
    run("systemctl", "enable", "--now", "latchkey@4", "latchkey@5")
    assert call("LOCK shared a", 5284).startswith("OK")
    assert '"agent":"a"' in call("HOLDER shared", 5285)


def test_authorities(newest: str, page: str) -> None:
    """The OpenSSL in the program finds the system's authorities, here and as Red Hat has them."""
    folder = Path("/tmp/tls")
    folder.mkdir()
    key, certificate = str(folder / "key"), str(folder / "certificate")
    run(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
        *("-keyout", key, "-out", certificate),
        *("-subj", "/CN=worker", "-addext", "subjectAltName=IP:127.0.0.1"),
    )
    serving = ["latchkey", "serve", "--listen", "127.0.0.1:5270", "--admin", "127.0.0.1:5271"]
    files = ["--tls-cert", certificate, "--tls-key", key]
    worker = subprocess.Popen(
        [*serving, "--redis", "redis://127.0.0.1:6379", *files], stdout=subprocess.PIPE
    )
    asking = ["latchkey", "call", "--tls", "--to", "127.0.0.1:5270", "PING"]
    added = Path("/usr/local/share/ca-certificates/check.crt")
    elsewhere = Path("/etc/pki/tls/certs/ca-bundle.crt")
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    try:
        assert worker.stdout is not None and worker.stdout.readline().startswith(b"ready ")
        assert "does not verify" in failure(*asking)
        shutil.copy(certificate, added)
        run("update-ca-certificates")
        assert run(*asking).startswith("OK")
        elsewhere.parent.mkdir(parents=True)
        shutil.move(bundle, elsewhere)
        for place in ("/usr/lib/ssl", "/etc/ssl"):
            shutil.move(place, f"{place}.away")
        assert run(*asking).startswith("OK")
        shutil.move(elsewhere, "/etc/pki/away")
        assert "does not verify" in failure(*asking)
    finally:
        worker.terminate()
        worker.wait(30)
    for place in ("/usr/lib/ssl", "/etc/ssl"):
        shutil.move(f"{place}.away", place)
    shutil.rmtree("/etc/pki")
    added.unlink()
    run("update-ca-certificates", "--fresh")


def test_upgrade(newest: str, page: str) -> None:
    """It keeps settings and data; each worker drains, and no request is left without a reply."""
    edited = SETTINGS.read_text("utf-8") + "LATCHKEY_LOG_LEVEL=debug\n"
    SETTINGS.write_text(edited, "utf-8")
    session = call('OPEN upgraded {"kept":"yes"}')
    assert session.startswith("OK"), session
    units = {"latchkey.service": 5282, "latchkey@4.service": 5284, "latchkey@5.service": 5285}
    before = {unit: main_pid(unit) for unit in units}
    callers = [Caller(port) for port in units.values() for _ in range(2)]
    try:
        printed = apt("install", newest)
    finally:
        for caller in callers:
            caller.stop()
    for unit, process in before.items():
        assert state(unit) == "active", f"{unit}: {printed}"
        assert main_pid(unit) != process, unit
    faults = [fault for caller in callers for fault in caller.faults]
    assert not faults, faults
    assert all(caller.answered > 10 for caller in callers), [one.answered for one in callers]
    assert sum(caller.drained for caller in callers) > 0
    assert SETTINGS.read_text("utf-8") == edited
    assert SETTINGS.with_suffix(".env.dpkg-dist").exists()
    assert '"kept":"yes"' in call("GET upgraded")
    log = run("journalctl", "--unit", "latchkey", "--output", "cat")
    assert "draining" in log, log


def test_a_worker_that_is_off_stays_off(newest: str, page: str) -> None:
    """Neither an upgrade nor a second installation starts what an administrator has disabled."""
    run("systemctl", "disable", "--now", "latchkey.service")
    apt("install", "--reinstall", newest)
    assert state("latchkey.service") == "inactive"
    assert state("latchkey@4.service") == "active"
    run("systemctl", "enable", "--now", "latchkey.service")


def test_a_worker_that_cannot_start_does_not_break_apt(newest: str, page: str) -> None:
    """The package is installed all the same, and says where to look."""
    kept = SETTINGS.read_text("utf-8")
    SETTINGS.write_text(kept + "LATCHKEY_THREADS=many\n", "utf-8")
    printed = apt("install", "--reinstall", newest)
    assert run("dpkg-query", "-W", "-f=${db:Status-Status}", "latchkey") == "installed"
    assert state("latchkey.service") != "active", printed
    SETTINGS.write_text(kept, "utf-8")
    run("systemctl", "restart", "latchkey.service")


def test_remove(newest: str, page: str) -> None:
    """It stops all workers, and keeps settings and data, with which it can be installed again."""
    apt("remove", "latchkey")
    for unit in ("latchkey.service", "latchkey@4.service", "latchkey@5.service"):
        assert state(unit) == "inactive", unit
    assert not shutil.which("latchkey")
    assert SETTINGS.exists()
    apt("install", newest)
    assert '"kept":"yes"' in call("GET upgraded")


def test_purge(newest: str, page: str) -> None:
    """Nothing is left: no file, no user, no unit."""
    apt("purge", "latchkey")
    folders = ("/etc", "/usr", "/var", "/run", "/opt", "/srv", "/tmp")
    found = run("find", *folders, "-xdev", "-iname", "*latchkey*").split()
    # dpkg and apt keep records of what was there.
    left = [path for path in found if not re.match(r"/var/(log|cache/apt|lib/apt|lib/dpkg)/", path)]
    assert not left, left
    for table in ("/etc/passwd", "/etc/group", "/etc/shadow"):
        assert "latchkey" not in Path(table).read_text("utf-8"), table
    units = run("systemctl", "list-units", "--all", "--plain", "--no-legend", "latchkey*")
    assert "loaded" not in units, units
    assert run("dpkg", "--list", "redis-server").splitlines()[-1].startswith("ii")


def main() -> None:
    """Runs the tests in this order; the first that fails ends the program."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    (newest,) = Path(sys.argv[1]).glob("latchkey_*.deb")
    tests: list[Callable[[str, str], None]] = [
        test_install,
        test_tutorial,
        test_several_workers,
        test_authorities,
        test_upgrade,
        test_a_worker_that_is_off_stays_off,
        test_a_worker_that_cannot_start_does_not_break_apt,
        test_remove,
        test_purge,
    ]
    for test in tests:
        print(f"{test.__name__[5:].replace('_', ' ')} ...", flush=True)
        test(str(newest), sys.argv[2])
    print(f"check_deb.py: {len(tests)} passed, 0 failed")


if __name__ == "__main__":
    main()
