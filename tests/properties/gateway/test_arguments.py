"""Strict arguments: whatever is written parses to canonical arguments that parse to themselves, or is refused with its reason."""

import json
import re
import unicodedata
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.core import Identified, Money, ReferenceKind
from adapters.function import BankingFunction
from adapters.functions import MANIFEST
from gateway.calls.arguments import canonical_bytes, parse
from gateway.domain.errors import Code, Refusal
from gateway.domain.strict_json import MAX_BODY_BYTES, MAX_DEPTH, JsonError, loads

FUNCTIONS = {function.name: function for function in MANIFEST}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["acc_x", "1.00", "GBP", "2026-01-01"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(["value", "currency"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def resolve(text: str, kinds: object) -> Identified | None:
    return (
        Identified(ReferenceKind(text.split("_", maxsplit=1)[0]), "x")
        if text in ("acc_x", "ben_x", "card_x", "pay_x", "txn_x")
        else None
    )


def arguments_of(function: BankingFunction) -> st.SearchStrategy[dict[str, object]]:
    names = [argument.name for argument in function.arguments] + ["another"]
    return st.dictionaries(st.sampled_from(names), ANYTHING)


@given(st.sampled_from(MANIFEST).flatmap(lambda function: st.tuples(st.just(function), arguments_of(function))))
def test_whatever_is_written_is_parsed_or_refused(given_: tuple[BankingFunction, dict[str, object]]) -> None:
    function, written = given_
    try:
        parsed = parse(function, json.dumps(written), resolve)
    except Refusal as refusal:
        assert refusal.code is Code.INVALID_ARGUMENT
        assert refusal.reason
        assert refusal.message.endswith(".")
        return
    declared = {argument.name for argument in function.arguments}
    assert set(parsed) <= declared
    assert {argument.name for argument in function.arguments if argument.required} <= set(parsed)
    assert "another" not in written


@given(st.text(max_size=30), st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
def test_a_refusal_never_repeats_what_was_sent(secret: str, more: dict[str, str]) -> None:
    written = json.dumps({"account": f"secret-{secret}", **{f"secret-{key}": value for key, value in more.items()}})
    with pytest.raises(Refusal) as refused:
        parse(FUNCTIONS["get_account_balance"], written, resolve)
    assert "secret-" not in refused.value.message
    assert "secret-" not in str(refused.value.param)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_text_is_canonical(text: str) -> None:
    function = FUNCTIONS["request_human"]
    (argument,) = function.arguments
    try:
        parsed = parse(function, json.dumps({argument.name: text}), resolve)
    except Refusal:
        return
    kept = parsed.must(argument.name, str)
    assert kept == unicodedata.normalize("NFC", text)
    assert kept.isprintable() or any(unicodedata.category(character) in ("Zs", "Cn") for character in kept)
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") for character in kept)


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(-5, 5) | st.text(max_size=3), min_size=1).flatmap(
        lambda members: st.permutations(list(members.items()))
    )
)
def test_the_order_of_keys_changes_no_canonical_form(members: list[tuple[str, object]]) -> None:
    written = {"account": "acc_x", "type": "ITAV"}
    one = parse(FUNCTIONS["get_account_balance"], json.dumps(written), resolve)
    other = parse(FUNCTIONS["get_account_balance"], json.dumps(dict(reversed(written.items()))), resolve)
    assert canonical_bytes("get_account_balance", one) == canonical_bytes("get_account_balance", other)
    assert canonical_bytes("get_account_balance", one) != canonical_bytes("get_transaction", one)
    assert members


def test_the_default_is_part_of_the_canonical_form() -> None:
    function = FUNCTIONS["get_account_balance"]
    left_out, written = (
        parse(function, '{"account": "acc_x"}', resolve),
        parse(function, '{"account": "acc_x", "type": "ITAV"}', resolve),
    )
    assert canonical_bytes(function.name, left_out) == canonical_bytes(function.name, written)


def test_types_come_out_as_declared() -> None:
    function = FUNCTIONS["initiate_transfer"]
    amount = {"value": "12.5", "currency": "GBP"}
    parsed = parse(function, {"from": "acc_x", "to": "ben_x", "amount": amount, "execute_on": "2028-02-29"}, resolve)  # type: ignore[dict-item]
    assert parsed["from"] == Identified(ReferenceKind.ACCOUNT, "x")
    assert parsed["amount"] == Money(1250, "GBP")
    assert parsed["execute_on"] == date(2028, 2, 29)
    assert parsed["reference"] == ""


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_a_fault(body: bytes) -> None:
    try:
        value = loads(body, max_bytes=MAX_BODY_BYTES)
    except JsonError as error:
        assert str(error)
        return
    assert json.loads(body, parse_float=Decimal) == value


@given(ANYTHING)
def test_what_another_parser_writes_is_read_alike(value: object) -> None:
    text = json.dumps(value)
    try:
        assert loads(text.encode(), max_bytes=MAX_BODY_BYTES) == json.loads(text, parse_float=Decimal)
    except JsonError:
        assert "NaN" in text or "Infinity" in text or "\\u" in text or "[" in text or "{" in text or _has_a_long_integer(value)


def _has_a_long_integer(value: object) -> bool:
    return isinstance(value, int) and abs(value) > 2**53 - 1


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1])
def test_the_depth_is_bounded_exactly(depth: int) -> None:
    body = b"[" * depth + b"]" * depth
    if depth <= MAX_DEPTH:
        loads(body, max_bytes=100)
    else:
        with pytest.raises(JsonError):
            loads(body, max_bytes=100)


ISO_13616 = (
    "GB29NWBK60161331926819",
    "IT60X0542811101000000123456",
    "BH67BMAG00001299123456",
    "DE89370400440532013000",
    "FR1420041010050500013M02606",
    "NO9386011117947",
    "MT84MALT011000012345MTLCAST001S",
)
"""Examples of the registry of ISO 13616."""


def identifier(value: object) -> str:
    written = json.dumps({"name": "Margaret Hale", "identifier": value})
    return parse(FUNCTIONS["verify_payee"], written, resolve).must("identifier", str)


@pytest.mark.parametrize("iban", ISO_13616)
def test_an_iban_is_taken_as_it_is(iban: str) -> None:
    assert identifier(iban) == iban


@given(st.sampled_from(ISO_13616), st.data())
def test_an_iban_with_one_character_changed_or_two_swapped_is_refused(iban: str, data: st.DataObject) -> None:
    """ISO 7064 MOD 97-10 finds every such slip of the pen."""
    at = data.draw(st.integers(0, len(iban) - 1))
    other = data.draw(st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ").filter(lambda it: it != iban[at]))
    slips = [iban[:at] + other + iban[at + 1 :]]
    if at and iban[at] != iban[at - 1]:
        slips.append(iban[: at - 1] + iban[at] + iban[at - 1] + iban[at + 1 :])
    for slip in slips:
        with pytest.raises(Refusal) as refused:
            identifier(slip)
        assert refused.value.reason == "invalid_identifier"
        assert slip not in refused.value.message


@pytest.mark.parametrize(
    "wrong",
    [
        "gb29NWBK60161331926819",
        "GB29 NWBK 6016 1331 9268 19",
        "60-16-13 31926819",
        "601613 31926819",
        "6016133192681",
        "601613319268190",
        "６０１６１３３１９２６８１９",
        "XX82NWBK60161331926819",
        "GB29NWBK6016133192681",
        "",
        "acc_x",
        60161331926819,
        None,
        ["60161331926819"],
        {"iban": "GB29NWBK60161331926819"},
    ],
)
def test_another_spelling_of_an_account_is_refused(wrong: object) -> None:
    with pytest.raises(Refusal) as refused:
        identifier(wrong)
    assert refused.value.reason == "invalid_identifier"


def test_a_sort_code_and_number_are_fourteen_digits() -> None:
    assert identifier("60161331926819") == "60161331926819"


@given(st.from_regex(r"20[0-9]{2}-(?:0[1-9]|1[0-2]|Q[1-4])", fullmatch=True) | st.text(max_size=9))
def test_a_period_has_one_form(text: str) -> None:
    form = re.fullmatch(r"20[0-9]{2}-(?:0[1-9]|1[0-2]|Q[1-4])", text)
    try:
        parsed = parse(FUNCTIONS["get_statement"], {"account": "acc_x", "period": text}, resolve)
    except Refusal as refused:
        assert form is None
        assert refused.reason in ("wrong_form", "wrong_length", "forbidden_character")
        return
    assert form is not None
    assert parsed["period"] == text


@pytest.mark.parametrize(
    "wrong", ["2026-13", "2026-00", "2026-Q0", "2026-Q5", "1999-12", "2026/02", "2026-2 ", "20260-2", "Q1-2026"]
)
def test_a_period_of_another_form_is_refused(wrong: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse(FUNCTIONS["get_statement"], {"account": "acc_x", "period": wrong}, resolve)
    assert refused.value.reason == "wrong_form"
