"""The guide's table of keys is the code's, and there is no key file outside it."""

import re
from pathlib import Path

import pytest

from audit.key_format import KeyMissing
from audit.keyring import KeyPurpose
from gateway.app.keys import GATEWAY_PURPOSES, PURPOSES, file_keys
from tests.support.teller import teller

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| `([a-z0-9-]+)` \| `([^`]+)` \| ([a-z0-9-]+) \|[^|]+\|[^|]+\| ([^|]+) \|",
    (ROOT / "deploy" / "README.md").read_text(),
    re.MULTILINE,
)


def test_the_table_says_what_the_code_says() -> None:
    assert [(purpose.name, purpose.file, purpose.kind.value, purpose.lost) for purpose in PURPOSES] == ROWS
    assert len({purpose.file for purpose in PURPOSES}) == len({purpose.name for purpose in PURPOSES}) == len(PURPOSES)


async def test_a_gateway_makes_no_key_file_outside_the_table(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with teller(data) as asked:
        await asked.ask("list_accounts")
    made = {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file() and not path.name.startswith(".")}
    others = {"gateway.lock", "dev/issuer.key", "bank.sqlite", "tellergate.sqlite", "audit/keys.sqlite"}
    others |= {"dev/officers.toml", "dev/officers/ada.key", "dev/officers/ben.key", "dev/officers/eve.key"}
    assert {name for name in made - others if not name.endswith(("-wal", "-shm"))} == {purpose.file for purpose in PURPOSES}
    assert {(data / purpose.file).stat().st_mode & 0o777 for purpose in PURPOSES} == {0o600}
    assert {(data / purpose.file).parent.stat().st_mode & 0o777 for purpose in PURPOSES} == {0o700}


@pytest.mark.parametrize("purpose", GATEWAY_PURPOSES, ids=lambda purpose: purpose.name)
async def test_a_key_that_is_missing_beside_existing_data_stops_the_start_and_is_named(tmp_path: Path, purpose: KeyPurpose) -> None:
    data = tmp_path / "data"
    async with teller(data):
        pass
    storage = file_keys(data)
    kept = storage.path(purpose).read_bytes()
    storage.path(purpose).unlink()
    with pytest.raises(KeyMissing, match=f"{purpose.file} is not there.*keys make {purpose.name}"):
        async with teller(data):
            pass
    assert not storage.path(purpose).exists(), "it is not made anew"
    storage.path(purpose).write_bytes(kept)
    storage.path(purpose).chmod(0o600)
    async with teller(data) as asked:
        assert (await asked.ask("list_accounts")).status == "done"
