"""A mandate counts as it was signed, or not at all."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.app.databases import DatabaseName
from gateway.domain.errors import Code
from gateway.domain.limits import Totals, exceeded
from gateway.domain.mandate import NO_LIMITS, Limits, Mandate, StandingMandate, load, load_standing
from tests.support.databases import dump, sql
from tests.support.teller import teller

KEY = Ed25519PrivateKey.generate()
NOW = datetime(2026, 11, 24, tzinfo=UTC)
MANDATE = Mandate(
    customer="alice",
    version=3,
    functions=("get_account_balance", "initiate_transfer"),
    accounts=("a1", "a2"),
    limits={"GBP": Limits(100, 200, 300, 400, 5)},
    starts=NOW,
    ends=NOW + timedelta(days=365),
)


def test_it_loads_as_it_was_signed() -> None:
    loaded = load(MANDATE.canonical(), MANDATE.sign(KEY), KEY.public_key())
    assert loaded.canonical() == MANDATE.canonical()
    assert loaded.limits_in("GBP") == Limits(100, 200, 300, 400, 5)
    assert loaded.limits_in("JPY") == NO_LIMITS


@given(st.integers(0, len(MANDATE.canonical()) - 1), st.integers(1, 255))
def test_a_changed_mandate_is_no_mandate(at: int, flip: int) -> None:
    body = bytearray(MANDATE.canonical())
    body[at] ^= flip
    with pytest.raises(ValueError, match="signature"):
        load(bytes(body), MANDATE.sign(KEY), KEY.public_key())


def test_another_form_of_the_same_mandate_is_none_even_if_it_is_signed() -> None:
    spaced = json.dumps(json.loads(MANDATE.canonical())).encode()
    signature = KEY.sign(b"tellergate/mandate/v1\x00" + spaced)
    with pytest.raises(ValueError, match="canonical"):
        load(spaced, signature, KEY.public_key())


def test_a_standing_mandate_loads_as_it_was_signed_also_one_from_before_it_could_name_an_account() -> None:
    ends = NOW + timedelta(days=30)
    standing = StandingMandate("std_1", "alice", None, "GBP", frozenset({"b:1"}), 1, 2, 3, NOW, ends, account="acc:a1")
    assert load_standing(standing.canonical(), standing.sign(KEY), KEY.public_key()) == standing
    earlier = json.loads(standing.canonical())
    del earlier["account"]
    body = json.dumps(earlier, sort_keys=True, separators=(",", ":")).encode()
    signature = KEY.sign(b"tellergate/standing-mandate/v1\x00" + body)
    assert load_standing(body, signature, KEY.public_key()) == replace(standing, account=None)
    with pytest.raises(ValueError, match="signature"):
        load_standing(replace(standing, account="acc:a2").canonical(), standing.sign(KEY), KEY.public_key())


@pytest.mark.parametrize("column", ["mandate", "mandate_signature"])
async def test_a_row_changed_in_the_database_gives_no_rights(tmp_path: Path, column: str) -> None:
    async with teller(tmp_path / "data") as asked:
        pass
    (row,) = [item for item in dump(tmp_path / "data", DatabaseName.GATEWAY)["customers"] if item["customer"] == "alice"]
    changed = row[column].replace(b"a", b"b") + b"x"
    sql(
        tmp_path / "data",
        DatabaseName.GATEWAY,
        f"update customers set {column} = :changed where customer = 'alice'",
        changed=changed,
    )
    async with teller(tmp_path / "data") as asked:
        answered = await asked.ask("list_accounts")
        assert (answered.status, answered.code) == ("denied", Code.DENIED)
        assert (await asked.ask("list_accounts", customer="bruno")).status == "done"


@given(
    st.builds(Limits, *[st.integers(0, 100)] * 5),
    st.builds(Totals, *[st.integers(0, 100)] * 4),
    st.integers(1, 100),
)
def test_a_payment_is_over_exactly_when_a_window_would_be(limits: Limits, totals: Totals, minor: int) -> None:
    fits = (
        minor <= limits.payment_minor
        and totals.day_minor + minor <= limits.day_minor
        and totals.week_minor + minor <= limits.week_minor
        and totals.month_minor + minor <= limits.month_minor
        and totals.day_count + 1 <= limits.day_count
    )
    assert (exceeded(limits, totals, minor) is None) == fits
