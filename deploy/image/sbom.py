"""Write an SBOM of the image's Python parts, in CycloneDX's JSON, for each platform that the image is built for.

    python sbom.py FOLDER [PLATFORM...]

pip resolves the lock for a platform, without installing it, and reports each wheel with its hash, which the lock has
too; what a package says of itself is read where it is installed. Lock, version and date decide what is written.
"""  # noqa: INP001 - a program, not a module of the package

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import tomllib
import uuid
from collections.abc import Mapping, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import adapter

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.txt"
PYTHON = "3.11"  # the image's, see the Dockerfile
GLIBC_MINOR = 41  # 2.41: Debian 13's, the image's
MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
# What distributions say in the old way, in the words of SPDX.
CLASSIFIED = {
    "Apache Software License": "Apache-2.0",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
# Distributions whose metadata names no licence, or a family of them: what the LICENSE in their wheels is.
READ_BY_HAND = {"google-re2": "BSD-3-Clause", "promql-parser": "MIT"}


def main(argv: Sequence[str]) -> int:
    """Write one file for each platform; return 0, or let an error end it."""
    folder = Path(argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for platform in argv[2:] or MACHINES:
        path = folder / f"tidegauge-{adapter.__version__}-{platform.replace('/', '-')}.cdx.json"
        path.write_text(sbom(platform), encoding="utf-8")
        print(path)  # noqa: T201 - the program's output
    return 0


def sbom(platform: str) -> str:
    """Return the document of one platform."""
    wheels = resolved(MACHINES[platform])
    packages = {name: installed(name, version) for name, (version, _) in wheels.items()}
    components = {name: component(name, packages[name].metadata.json, *wheels[name]) for name in wheels}
    root = itself()
    moment = int(os.environ.get("SOURCE_DATE_EPOCH") or commit_time())
    bom = Bom(
        components=components.values(),
        # The same content has the same number, so that a document made again is the same document.
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{root.purl}?platform={platform}&lock={LOCK.read_text()}"),
        metadata=BomMetaData(component=root, timestamp=dt.datetime.fromtimestamp(moment, tz=dt.UTC)),
    )
    for name, needed in needs({name: package.requires or [] for name, package in packages.items()}).items():
        bom.register_dependency(components[name], [components[one] for one in needed])
    bom.register_dependency(root, [components[name] for name in direct_needs() if name in components])
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2) + "\n"


def resolved(machine: str) -> dict[str, tuple[str, str]]:
    """Return what pip would install from the lock on a machine: name to version and the wheel's SHA-256.

    The report's format: https://pip.pypa.io/en/stable/reference/installation-report/
    """
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(5, GLIBC_MINOR + 1)]
    tags += [f"{alias}_{machine}" for alias in ("manylinux2014", "manylinux2010", "manylinux1")]
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "report.json")
        words = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
        words += ["--require-hashes", "--only-binary=:all:", "--requirement", str(LOCK), "--report", str(report)]
        words += ["--target", scratch, "--implementation", "cp", "--python-version", PYTHON]
        words += [word for tag in tags for word in ("--platform", tag)]
        subprocess.run(words, check=True)  # noqa: S603 - our own words
        installs = json.loads(report.read_text(encoding="utf-8"))["install"]
    told = [(one["metadata"], one["download_info"]["archive_info"]["hashes"]["sha256"]) for one in installs]
    return {canonical(metadata["name"]): (metadata["version"], sha256) for metadata, sha256 in told}


def installed(name: str, version: str) -> Distribution:
    """Return a package as it is installed here.

    Raises:
        SystemExit: it is not, or in another version than the lock's.
    """
    try:
        found = distribution(name)
    except PackageNotFoundError:
        found = None
    if found is None or found.version != version:
        raise SystemExit(
            f"sbom.py: {name} {version} is not installed here, where its licence is read: make .venv/.installed"
        )
    return found


def component(name: str, told: Mapping[str, Any], version: str, sha256: str) -> Component:
    """Describe one package by its metadata, in the JSON form of PEP 566, and its wheel's hash."""
    purl = PackageURL("pypi", None, name, version)
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=str(purl),
        purl=purl,
        description=told.get("summary"),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
        licenses=[LicenseFactory().make_from_string(one) for one in licences(name, told)],
        external_references=[
            ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(one)) for one in pages(told)
        ],
    )


def itself() -> Component:
    """Describe the adapter."""
    purl = PackageURL("pypi", None, "tidegauge", adapter.__version__)
    return Component(
        type=ComponentType.APPLICATION,
        name="tidegauge",
        version=adapter.__version__,
        bom_ref=str(purl),
        purl=purl,
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
    )


def licences(name: str, told: Mapping[str, Any]) -> list[str]:
    """Return a package's licence: as an SPDX expression, as a name, or as its classifiers have it.

    Raises:
        SystemExit: nothing says it; somebody has to read the wheel's LICENSE.
    """
    text = str(told.get("license") or "")
    marked = [one.rpartition(" :: ")[2] for one in told.get("classifier", []) if one.startswith("License :: ")]
    said = READ_BY_HAND.get(name) or told.get("license_expression") or ("" if "\n" in text else text)
    found = [said] if said else marked
    if not found:
        raise SystemExit(f"sbom.py: the metadata of {name} has no licence: read its LICENSE, add it to READ_BY_HAND")
    return [CLASSIFIED.get(one, one) for one in found]


def pages(told: Mapping[str, Any]) -> list[str]:
    """Return a package's home page, if it has one."""
    urls = dict(one.split(", ", 1) for one in told.get("project_url", []))
    named = {label.lower(): url for label, url in urls.items()}
    found = told.get("home_page") or named.get("homepage") or named.get("source") or named.get("repository")
    return [found] if found else []


def needs(required: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return which of the packages each one needs, the extras that others ask of it included."""
    asked: dict[str, set[str]] = {name: {""} for name in required}
    found: dict[str, list[str]] = {}
    while True:
        before = {name: set(extras) for name, extras in asked.items()}
        for name, lines in required.items():
            wanted = [one for one in map(Requirement, lines) if applies(one, asked[name])]
            kept = [one for one in wanted if canonical(one.name) in required]
            for one in kept:
                asked[canonical(one.name)] |= one.extras
            found[name] = sorted({canonical(one.name) for one in kept})
        if asked == before:
            return found


def applies(requirement: Requirement, extras: set[str]) -> bool:
    """Say whether a requirement holds on Linux with the image's Python, with one of these extras."""
    linux = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "python_version": PYTHON}
    return requirement.marker is None or any(requirement.marker.evaluate({**linux, "extra": one}) for one in extras)


def canonical(name: str) -> str:
    """Return a distribution's name in the form of PEP 503."""
    return str(canonicalize_name(name))


def direct_needs() -> list[str]:
    """Return the packages that the adapter itself asks for."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return [canonical(Requirement(one).name) for one in told]


def commit_time() -> str:
    """Return the time of the last commit, in seconds since 1970; files are dated with it too."""
    words = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own words


if __name__ == "__main__":
    sys.exit(main(sys.argv))
