"""What a model, a customer's name or a hostile upstream could try through declared functions."""

import asyncio
import json
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from adapters.core import CoreUnavailable, Declined, Done, Unknown
from adapters.declared.conversion import output_of
from adapters.declared.served import functions_of
from adapters.declared.upstream import Upstream
from adapters.function import Arguments, Asker, Label, ReadFunction, Unfit
from gateway.calls.catalogue import manifest as entries
from gateway.calls.catalogue import schema_hash
from gateway.calls.redaction import redact
from tests.support.banks import NOON
from tests.support.declared import Composed, composed, manifest_of
from tests.support.upstream import CREDENTIAL, manifest_text

IN_PATH = {"path: /files": 'path: "/files/{name}"'}


async def read(made: Composed, name: str, /, **arguments: object) -> object:
    function = made.functions[name]
    assert isinstance(function, ReadFunction)
    return await function.read(made.core, Asker("emma", NOON.date()), Arguments(arguments))  # type: ignore[arg-type]


HOSTILE = [
    "../passcode", "..", ".", "%2e%2e", "..%2fpeople", "a/b", "a\\b", "a?x=1", "a#b", "//evil.example/x", "http://evil.example/",
    "a;v=1", "a\r\nX-Customer: bruno", "a b", "@evil.example", "a\x00b",
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
async def test_a_value_in_a_path_never_reaches_another_way_or_host(tmp_path: Path, value: str) -> None:
    async with composed(tmp_path, **IN_PATH) as made:
        try:
            await read(made, "open_file", name=value)
        except Unfit as refused:
            assert refused.argument == "name"
            assert made.bank.seen == []
        except CoreUnavailable:
            assert made.bank.seen == []
    assert all(item.path.startswith("/files/") for item in made.bank.seen)


@pytest.mark.parametrize("value", HOSTILE)
async def test_an_effect_with_such_a_value_in_its_path_is_declined_unsent(tmp_path: Path, value: str) -> None:
    async with composed(tmp_path) as made:
        answer = await made.send("pause_card", json.dumps({"card": value}))
        assert isinstance(answer, Declined | Done)
        assert (made.bank.seen == []) == isinstance(answer, Declined)
        assert all(item.path.startswith("/cards/") and item.path.endswith("/pause") for item in made.bank.seen)


@pytest.mark.parametrize("value", HOSTILE)
async def test_a_value_in_a_query_is_one_value_of_its_name(tmp_path: Path, value: str) -> None:
    async with composed(tmp_path) as made:
        assert await read(made, "open_file", name=value + "&name=notes/may.txt&admin=1") is None
        (seen,) = made.bank.seen
        assert (seen.path, seen.customer) == ("/files", "emma")
        assert parse_qsl(seen.raw_query, keep_blank_values=True) == [("name", value + "&name=notes/may.txt&admin=1")]
        assert seen.headers["host"].startswith("127.0.0.1:")
        assert set(seen.headers) <= {"host", "accept", "accept-encoding", "user-agent", "authorization", "x-customer"}


async def test_no_redirect_is_followed_and_the_credential_goes_nowhere_else(tmp_path: Path) -> None:
    async with composed(tmp_path) as made:
        made.bank.faults_of_questions = ["elsewhere", "elsewhere"]
        with pytest.raises(CoreUnavailable):
            await read(made, "open_file", name="bill.txt")
        made.bank.faults = ["elsewhere", "elsewhere"]
        assert isinstance(await made.send("pause_card", '{"card":"4242"}'), Unknown)
        assert {item.path for item in made.bank.seen} == {"/files", "/cards/4242/pause"}


async def test_proxies_of_the_environment_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with composed(tmp_path) as made:
        assert await read(made, "open_file", name="notes/may.txt") == {"content": "Nothing."}


async def test_cookies_of_the_upstream_are_not_sent_back(tmp_path: Path) -> None:
    async with composed(tmp_path) as made:
        await read(made, "open_file", name="notes/may.txt")
        await read(made, "open_file", name="notes/may.txt")
        assert all("cookie" not in item.headers for item in made.bank.seen)


@pytest.mark.parametrize("customer", ["emma\r\nX-Admin: 1", "emma\nX", "em ma", "", "é", "a" * 300])
async def test_a_customer_s_name_never_becomes_another_header(tmp_path: Path, customer: str) -> None:
    async with composed(tmp_path) as made:
        function = made.functions["open_file"]
        assert isinstance(function, ReadFunction)
        with pytest.raises(CoreUnavailable):
            await function.read(made.core, Asker(customer, NOON.date()), Arguments({"name": "bill.txt"}))
        assert made.bank.seen == []


async def test_what_the_upstream_sends_beside_what_is_declared_is_left_behind(tmp_path: Path) -> None:
    async with composed(tmp_path) as made:
        made.bank.extra = {"pin": "1234", "__proto__": {}}
        assert await read(made, "open_file", name="notes/may.txt") == {"content": "Nothing."}


@pytest.mark.parametrize("wrong", [None, 5, ["a"], {"a": 1}, True])
async def test_a_read_with_a_field_of_another_type_is_no_answer(tmp_path: Path, wrong: object) -> None:
    async with composed(tmp_path) as made:
        made.bank.extra = {"content": wrong}
        with pytest.raises(CoreUnavailable):
            await read(made, "open_file", name="notes/may.txt")


async def test_what_the_gateway_asks_for_itself_is_whole_or_unavailable(tmp_path: Path) -> None:
    async with composed(tmp_path) as made:
        function = made.functions["pay"]
        known = await function.acquaintance(made.core, "emma")
        (payee,) = known.payees
        assert (payee.key, payee.name, payee.known_since) == (payee.identifier, "Jane Roe", payee.known_since)
        assert payee.key == "GB29NWBK60161331926819"
        assert payee.known_since is not None
        assert payee.known_since.isoformat() == "2025-11-02T00:00:00+00:00"
        assert known.own_accounts == {"DE89370400440532013000"}
        assert known.orders["7"].amount is not None
        assert (known.orders["7"].amount.value, known.orders["7"].payee) == ("50.00", payee.key)
        for extra in (
            {"people": [{"called": "x"}]},
            {"people": [{"iban": True}]},
            {"people": [{"iban": "x", "first_paid": "soon"}]},
        ):
            made.bank.extra = extra
            with pytest.raises(CoreUnavailable):
                await function.acquaintance(made.core, "emma")
        made.bank.extra = {}
        made.bank.faults_of_questions = ["", "empty"]  # a refusal with an empty list is not the list of no orders
        with pytest.raises(CoreUnavailable):
            await function.acquaintance(made.core, "emma")
        made.bank.faults_of_questions = ["500", "500"]
        with pytest.raises(CoreUnavailable):
            await function.acquaintance(made.core, "emma")


async def test_without_questions_for_facts_nothing_is_known(tmp_path: Path) -> None:
    text = manifest_text("foreign")
    manifest = manifest_of(text[: text.index("facts:")] + text[text.index("functions:") :])
    pay = next(item for item in functions_of(manifest, Upstream(manifest.upstream, credential=CREDENTIAL)) if item.name == "pay")
    known = await pay.acquaintance(None, "emma")  # type: ignore[arg-type]
    assert (known.payees, known.orders, known.own_accounts) == ((), {}, frozenset())


async def test_an_answer_that_trickles_ends_with_the_deadline(tmp_path: Path) -> None:
    async with composed(tmp_path, **{"question_ms: 5000": "question_ms: 200"}) as made:
        made.bank.faults_of_questions = ["slow", "slow"]
        async with asyncio.timeout(10):
            with pytest.raises(CoreUnavailable):
                await read(made, "open_file", name="bill.txt")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:10"),
        ("path: /payments}", "path: /elsewhere}"),
        ("kind: payee", "kind: free_text"),
        ("label: document", "label: bank"),
        ("egress: true", "egress: false"),
        ("path: /people", "path: /others"),
        ("X-Customer", "X-Other"),
        ("declined: {402: AM04", "declined: {400: AM04"),
    ],
)
def test_whatever_changes_in_a_manifest_changes_the_bundle(before: str, after: str) -> None:
    text = manifest_text("foreign")
    made = []
    for item in (text, text.replace(before, after)):
        manifest = manifest_of(item)
        made.append(functions_of(manifest, Upstream(manifest.upstream, credential=CREDENTIAL)))
    one, other = made
    assert [schema_hash(item) for item in one] != [schema_hash(item) for item in other]
    assert entries(one) != entries(other)


@pytest.mark.parametrize("credential", ["", "a b", "a\r\nX-Customer: bruno", "é" * 40, "a" * 5000])
def test_a_credential_that_no_header_holds_is_refused(credential: str) -> None:
    with pytest.raises(ValueError, match="bearer token"):
        Upstream(manifest_of(manifest_text("foreign")).upstream, credential=credential)


def test_a_credential_is_given_if_and_only_if_it_is_needed() -> None:
    with pytest.raises(ValueError, match="if and only if"):
        Upstream(manifest_of(manifest_text("foreign")).upstream)
    with pytest.raises(ValueError, match="if and only if"):
        Upstream(manifest_of(manifest_text("money")).upstream, credential=CREDENTIAL)


@pytest.mark.parametrize("customer", ["..", ".", "a/b", "a%2fb", "a\\b", "a?x=1", "a#b", "a;v=1", "bruno/accounts"])
async def test_a_customer_in_a_path_is_one_segment_or_nothing_is_asked(tmp_path: Path, customer: str) -> None:
    async with composed(tmp_path, "opaque") as made:
        function = made.functions["entries"]
        assert isinstance(function, ReadFunction)
        with pytest.raises(CoreUnavailable):
            await function.read(made.core, Asker(customer, NOON.date()), Arguments({}))
        with pytest.raises(CoreUnavailable):
            await made.functions["card"].acquaintance(made.core, customer)
        assert made.bank.seen == []


async def test_the_customer_in_a_path_is_the_token_s_and_is_encoded(tmp_path: Path) -> None:
    async with composed(tmp_path, "opaque") as made:
        function = made.functions["entries"]
        assert isinstance(function, ReadFunction)
        with pytest.raises(CoreUnavailable):  # nobody of that name there
            await function.read(made.core, Asker("em@ma:1", NOON.date()), Arguments({}))
        assert [(seen.path, seen.customer) for seen in made.bank.seen] == [("/customers/em%40ma%3A1/entries", "em@ma:1")]
        with pytest.raises(ValueError, match="arguments of this function"):
            await function.read(made.core, Asker("emma", NOON.date()), Arguments({"customer": "bruno"}))


def test_a_memo_without_a_known_direction_is_another_s() -> None:
    """Whatever stands where the direction should: only a listed value makes a text the customer's own."""
    manifest = manifest_of(manifest_text("opaque").replace("own: [out]", 'own: [out, "true"]'))
    (field,) = next(item for item in functions_of(manifest, Upstream(manifest.upstream)) if item.name == "entries").output
    (declared,) = (item.answer for item in manifest.functions if item.name == "entries")

    def labels(direction: object) -> frozenset[Label]:
        raw = output_of(declared, [{"id": "e", "memo": "m", "direction": direction}], is_lenient=False)
        return redact((field,), raw, reference=str, allowed=frozenset({"basic"})).labels

    assert labels("out") == labels(True) == frozenset()
    for direction in ("in", "OUT", "out ", "", "True", None, 1, False, ["out"], {"out": 1}):
        assert labels(direction) == {Label.THIRD_PARTY}
