"""The verifiers are taken away with their hashes, which the log has on record since its gateway began."""

import asyncio
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from audit import verifiers
from audit.export import trust_policy
from audit.query import Why
from gateway.cli import main
from tests.support import peers
from tests.support.bundles import exported, leaves_of, manifest_of, unpack
from tests.support.databases import url
from tests.support.guides import ROOT, blocks, commands
from tests.support.second_verifier import node
from tests.support.teller import teller


@pytest.fixture
async def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TELLERGATE_DATABASE", url(tmp_path / "data"))
    async with teller(tmp_path / "data"):
        pass
    return tmp_path / "data"


def asked(capsys: pytest.CaptureFixture[str], data: Path, *more: str) -> tuple[int, Any]:
    status = main(["audit", "verifiers", "--data", str(data), "--json", *more])
    return status, json.loads(capsys.readouterr().out)


def test_what_is_taken_away_has_the_hashes_on_record(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "verifiers"
    status, said = asked(capsys, data, "--out", str(folder))
    assert (status, said["verifiers"]) == (0, said["on_record"])
    for name, fact in (("verify.py", "verifier_py"), ("SHA256SUMS", "verifier_js")):
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == said["on_record"][fact]
    assert shutil.which("sha256sum"), "coreutils"
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    listed = {line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.relative_to(folder).as_posix() for path in (folder / "verifier_js").rglob("*") if path.is_file()}
    assert main(["audit", "verifiers", "--data", str(data)]) == 0
    assert f"the record {said['record']}, at the last start" in capsys.readouterr().out
    helped = peers.ran([node(), folder / "verifier_js/verify.mjs", "--help"])
    assert helped.stdout.startswith("usage: verify.mjs")


def test_other_verifiers_than_those_on_record_are_a_finding(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an upgrade before the first start, or where somebody changed the files."""
    files = {**verifiers.files(), "verify.py": b"print('good')"}
    monkeypatch.setattr(verifiers, "files", lambda: files)
    verifiers.hashes.cache_clear()
    try:
        status, said = asked(capsys, data)
        assert (status, said["verifiers"] == said["on_record"]) == (1, False)
        assert main(["audit", "verifiers", "--data", str(data)]) == 1
        assert "with other verifiers" in capsys.readouterr().err
    finally:
        verifiers.hashes.cache_clear()


async def test_a_bundle_carries_the_one_on_record(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked_gateway:
        raw = await exported(asked_gateway.gateway.log, Why(auditor="auditor-1", purpose="yearly review", case_id="case-7"))
    (begun,) = [fields for fields in map(json.loads, leaves_of(unpack(raw))) if fields["kind"] == "log.start"]
    assert begun["facts"] == verifiers.hashes()
    assert begun["facts"]["verifier_py"] == manifest_of(unpack(raw))["files"]["verify.py"]["sha256"]


async def test_the_guide_s_lines_for_node_do_what_they_say(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked_gateway:
        log = asked_gateway.gateway.log
        why = Why(auditor="auditor-1", purpose="yearly review", case_id="case-7")
        kept = (await log.publish(force=True) or "").encode()
        files = {"checkpoint.txt": kept, "trust.json": trust_policy(log), "evidence.zip": await exported(log, why)}
        files["later.zip"] = await exported(log, why, after=kept)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    out = ["--out", str(tmp_path / "verifiers"), "--database", url(tmp_path / "data")]
    assert await asyncio.to_thread(main, ["audit", "verifiers", "--data", str(tmp_path / "data"), *out]) == 0
    (block,) = [found for found in blocks(ROOT / "audit/README.md") if "needs Node" in found.note]
    for line in commands(block):
        done = peers.ran([node(), *line.split()[1:]], check=False, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
