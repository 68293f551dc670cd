"""RFC 8785 cases of cyberphone/json-canonicalization: what keeps the leaf's rules has the published canonical form."""

import json
from pathlib import Path

import pytest

from audit.leaf import canonical

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "jcs"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the published RFC 8785 vectors are not here")


def keeps_the_rules(value: object) -> bool:
    if isinstance(value, dict):
        return all(key.isascii() and keeps_the_rules(item) for key, item in value.items())
    if isinstance(value, list):
        return all(keeps_the_rules(item) for item in value)
    return not isinstance(value, float)


def test_documents_within_the_rules_have_the_published_form() -> None:
    compared = []
    for path in sorted((FOLDER / "input").glob("*.json")):
        document = {"document": json.loads(path.read_text())}
        if keeps_the_rules(document):
            expected = (FOLDER / "output" / path.name).read_bytes()
            assert canonical(document) == b'{"document":' + expected.rstrip(b"\n") + b"}", path.name
            compared.append(path.stem)
    assert {"arrays", "unicode"} <= set(compared), compared
