"""`deploy/sbom`: a bill of materials in the form of CycloneDX, of exactly what the lock installs, and the licenses of it."""

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[2]
FILES = {"cedarpy"}
"""Apache-2.0, in the file LICENSE of its distribution."""
COPYLEFT = re.compile(r"\b(?:A?GPL|AGPL|SSPL|GNU (?:Affero )?General Public License)", re.IGNORECASE)


def printed(*arguments: str) -> dict[str, Any]:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ran = subprocess.run([ROOT / "deploy" / "sbom", *arguments], check=True, capture_output=True, text=True, env=environment)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(ran.stdout) is None
    told: dict[str, Any] = json.loads(ran.stdout)
    assert (told["bomFormat"], told["metadata"]["component"]["name"]) == ("CycloneDX", "tellergate")
    return told


def locked() -> dict[tuple[str, str], set[str]]:
    """The packages of the lock, each with its hashes."""
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if "==" in line]
    return {
        (line.split("==")[0].strip(), re.split(r"[ ;]", line.split("==")[1])[0]): set(re.findall(r"sha256:([0-9a-f]{64})", line))
        for line in lines
    }


def test_it_lists_what_the_lock_installs_with_its_hashes() -> None:
    told = printed()
    listed = {
        (item["name"], item["version"]): {
            one["content"] for reference in item["externalReferences"] for one in reference.get("hashes", ())
        }
        for item in told["components"]
    }
    assert len(listed) > 40
    assert listed == locked()


def licenses(name: str) -> str:
    """What a package says of its license; empty for one that is not installed on this platform."""
    try:
        told: Any = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    said = [told.get("License-Expression") or "", (told.get("License") or "").splitlines()[:1]]
    named = [item for item in told.get_all("Classifier") or () if item.startswith("License ::")]
    return " ".join(str(item) for item in (*said, *named) if item) or "in a file alone"


def test_everything_has_a_license_and_none_that_binds_the_bank_s_own_code() -> None:
    told = {name: text for name, _ in locked() if (text := licenses(name))}
    assert len(told) > 40
    assert {name for name, text in told.items() if text == "in a file alone"} <= FILES
    assert [name for name, text in told.items() if COPYLEFT.search(text)] == []
