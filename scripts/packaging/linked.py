"""What a program is made of: a bill of materials (CycloneDX 1.6) and the licences of its parts.

Usage: linked.py PROGRAM TAKEN VERSION SBOM NOTICES

PROGRAM is the linked program, TAKEN the linker's list of what it took from archives (lld's
--why-extract). Every archive and every shared library is traced to the Debian package or the Swift
toolchain that it comes from; one that comes from nowhere, or whose licence is not known here, is an
error. SOURCE_DATE_EPOCH is the time in the document.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path

LICENCES = {
    "gcc-12": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "glibc": "LGPL-2.1-or-later",
    "hiredis": "BSD-3-Clause",
    "libevent": "BSD-3-Clause",
    "openssl": "Apache-2.0",
    "swift": "Apache-2.0 WITH Swift-exception",
}
"""By source package."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A package that the program has something of."""

    name: str
    version: str
    source: str
    purl: str
    licence_file: Path
    is_inside: bool
    """True if it is in the program itself, false if the program needs it where it runs."""


def output(*command: str) -> str:
    """What a command prints. Raises CalledProcessError if it fails."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def archives(taken: Path) -> set[Path]:
    """The archives of which the linker has taken members."""
    found = set()
    for line in taken.read_text("utf-8").splitlines()[1:]:
        _, extracted, _ = line.split("\t", 2)
        if match := re.fullmatch(r"(.+\.a)\(.+\)", extracted):
            found.add(Path(match[1]).resolve())
    return found


def shared_libraries(program: Path) -> set[Path]:
    """The files of the shared libraries that the loader finds, the loader not included."""
    return {Path(path) for path in re.findall(r"=> (/\S+)", output("ldd", str(program)))}


def debian_part(path: Path, *, is_inside: bool) -> Part:
    """The installed package that owns a file."""
    # Debian knows its files by where they were put, and /lib leads to /usr/lib.
    owner = output("dpkg", "-S", f"*{str(path).removeprefix('/usr')}").split(": ")[0]
    query = "${Package}\t${Version}\t${Architecture}\t${source:Package}"
    name, version, architecture, source = output("dpkg-query", "-Wf", query, owner).split("\t")
    return Part(
        name,
        version,
        source,
        f"pkg:deb/debian/{name}@{version.replace(':', '%3A').replace('+', '%2B')}"
        f"?arch={architecture}",
        Path(f"/usr/share/doc/{name}/copyright"),
        is_inside,
    )


def swift_part(root: Path) -> Part:
    """The toolchain's own libraries."""
    match = re.search(r"Swift version (\S+)", output("swift", "--version"))
    if match is None:
        raise SystemExit("linked.py: swift --version shows no version")
    version = match[1]
    return Part(
        "swift",
        version,
        "swift",
        f"pkg:github/swiftlang/swift@swift-{version}-RELEASE",
        root / "usr/share/swift/LICENSE.txt",
        True,
    )


def parts(program: Path, taken: Path) -> list[Part]:
    """All parts, each once, in the order of their names."""
    found = set()
    for path in archives(taken):
        if "swift_static" in path.parts:
            root = Path(*path.parts[: path.parts.index("usr", 1)])
            found.add(swift_part(root))
        else:
            found.add(debian_part(path, is_inside=True))
    found |= {debian_part(path, is_inside=False) for path in shared_libraries(program)}
    for part in found:
        if part.source not in LICENCES:
            raise SystemExit(f"linked.py: the licence of {part.source} is not known: add its row")
    return sorted(found, key=lambda part: part.name)


def bill(program: Path, version: str, found: list[Part]) -> dict[str, object]:
    """The document, the same for the same program and parts."""
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    at = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))
    purl = f"pkg:generic/latchkey@{version}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", at),
            "component": {
                "type": "application",
                "bom-ref": purl,
                "name": "latchkey",
                "version": version,
                "purl": purl,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
                "hashes": [{"alg": "SHA-256", "content": digest}],
            },
        },
        "components": [
            {
                "type": "library",
                "bom-ref": part.purl,
                "name": part.name,
                "version": part.version,
                "purl": part.purl,
                "licenses": [{"expression": LICENCES[part.source]}],
                "properties": [
                    {"name": "latchkey:linked", "value": "static" if part.is_inside else "shared"}
                ],
            }
            for part in found
        ],
        "dependencies": [{"ref": purl, "dependsOn": [part.purl for part in found]}],
    }


def notices(found: list[Part]) -> str:
    """The licence texts of what is in the program."""
    texts = [
        "Latchkey is distributed under the Apache License 2.0. The program contains code of these\n"
        "packages, under their own licences:\n"
    ]
    for part in found:
        if part.is_inside:
            rule = "=" * 80
            text = part.licence_file.read_text("utf-8").rstrip()
            texts.append(f"{rule}\n{part.name} {part.version}\n{rule}\n\n{text}\n")
    return "\n".join(texts)


def main() -> None:
    """Writes both files."""
    if len(sys.argv) != 6:
        raise SystemExit(__doc__)
    program, taken, version, sbom, notice = sys.argv[1:]
    found = parts(Path(program), Path(taken))
    Path(sbom).write_text(json.dumps(bill(Path(program), version, found), indent=2) + "\n", "utf-8")
    Path(notice).write_text(notices(found), "utf-8")


if __name__ == "__main__":
    main()
