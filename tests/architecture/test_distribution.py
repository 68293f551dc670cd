"""What is installed: four import packages that nobody else owns, and nothing beyond the lock."""

import email
import json
import re
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("gateway", "policies", "adapters", "audit")


def installed_files() -> set[str]:
    try:
        files = distribution("tellergate").files or []
    except PackageNotFoundError:
        pytest.skip("tellergate is not installed here")
    return {file.parts[0] for file in files}


def test_the_four_names_have_no_other_owner() -> None:
    if not set(PACKAGES) & installed_files():
        pytest.skip("tellergate is installed in place: its files are not listed")
    owners = packages_distributions()
    assert {name: owners[name] for name in PACKAGES} == {name: ["tellergate"] for name in PACKAGES}


def test_the_distribution_holds_the_rules_the_cases_and_nothing_of_the_tests() -> None:
    if not set(PACKAGES) & installed_files():
        pytest.skip("tellergate is installed in place: its files are not listed")
    names = {file.as_posix() for file in distribution("tellergate").files or []}
    assert {"policies/rules/ownership.cedar", "policies/cases/world.yaml", "policies/bank.cedarschema", "audit/verify.py"} <= names
    assert {f"gateway/console/playground/playground.{kind}" for kind in ("html", "js", "css")} <= names
    assert not [name for name in names if name.startswith("tests/")]


def test_every_direct_dependency_has_its_reason_and_there_are_at_most_twenty() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    listed = text.split("\ndependencies = [\n", 1)[1].split("\n]\n", 1)[0].splitlines()
    assert len(listed) <= 20
    assert all(re.fullmatch(r'  "[^"]+",\s+# .+', line) for line in listed), "each with its reason beside it"


def test_locks_hold_hashes_and_no_addresses() -> None:
    peers = sorted(ROOT.glob("tests/peers/*/requirements.lock"))
    assert len(peers) == 8
    for lock in (ROOT / "requirements.lock", ROOT / "requirements-test.lock", *peers):
        text = lock.read_text()
        assert "://" not in text
        pinned = re.findall(r"^[a-z0-9][^ ]*==[^ ]+", text, re.MULTILINE)
        assert len(pinned) > (0 if lock.parent.name == "node" else 20)
        assert len(re.findall(r"^[a-z0-9][^\n]*\\\n    --hash=sha256:", text, re.MULTILINE)) == len(pinned)


def test_locks_of_npm_hold_hashes_and_no_addresses() -> None:
    for lock in ROOT.glob("tests/peers/*/package-lock.json"):
        packages = json.loads(lock.read_text())["packages"]
        assert all(item["integrity"].startswith("sha512-") for name, item in packages.items() if name), lock.parent.name
        assert not any("resolved" in item for item in packages.values()), lock.parent.name


def test_the_wheel_says_what_it_is_and_holds_what_it_needs(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("tellergate-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = email.message_from_bytes(archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))))
    assert (metadata["Name"], metadata["License-Expression"]) == ("tellergate", "Apache-2.0")
    assert (bool(metadata["Summary"]), metadata["Description-Content-Type"]) == (True, "text/markdown")
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    verifier = {path.relative_to(ROOT).as_posix() for path in (ROOT / "audit/verifier_js").rglob("*") if path.is_file()}
    assert {"audit/verifier_js/verify.mjs", "audit/verifier_js/vendor/hashes/LICENSE"} <= verifier <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)
    assert not any(name.endswith(".png") for name in names), "pictures are the guides'"
