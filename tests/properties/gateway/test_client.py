"""The Python client's own rules, over whatever may come: what is asked again, where tokens may go, which webhooks are genuine."""

import asyncio
import itertools
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, example, given
from hypothesis import strategies as st

from audit.memory_keys import FileSigner
from gateway.client import (
    CallSettled,
    TellergateError,
    TellergateUnreachable,
    WebhookEvent,
    WebhookNotGenuine,
    requests,
    verify_webhook,
)
from gateway.client.exchange import LostAnswer, Patience, ServerAnswer, checked_url, exchange, sent_headers
from gateway.client.requests import ClientRequest
from gateway.oversight.webhooks import public_key, signed

ROOT = Path(__file__).parents[3]

# What is asked again.

STATUSES = (200, 204, 301, 400, 401, 404, 409, 422, 424, 429, 500, 501, 502, 503, 504)
BODIES = (b'{"count": 1}', b'{"error": {"code": "c", "message": "m", "type": "t", "param": null}}', b"", b"<h1>")
WAITS = ("0", "1", "10", "11", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1e9", "9" * 20, "²")
HEADS: Sequence[Mapping[str, str]] = ({}, *({"retry-after": wait} for wait in WAITS))
CAME = st.one_of(
    st.builds(LostAnswer, st.just("ReadError"), st.booleans()),
    st.builds(ServerAnswer, st.sampled_from(STATUSES), st.sampled_from(HEADS), st.sampled_from(BODIES)),
)


def is_gateways(came: ServerAnswer) -> bool:
    return b'"error"' in came.body


def goes(came: Sequence[ServerAnswer | LostAnswer], tries: int, jitter: float, *, is_same_again: bool) -> None:
    """An exchange to which this comes, one after the other, keeps the rules."""
    patience = Patience(tries=tries, wait_most_s=10.0, jitter=lambda: jitter)
    asked: ClientRequest[Any] = (
        requests.create_conversation() if is_same_again else requests.add_customer_messages("conv_1", "words")
    )
    assert asked.is_same_again == is_same_again
    steps, left = exchange(asked, patience), list(came)
    sent: list[ServerAnswer | LostAnswer] = []
    waits: list[float] = []
    try:
        step = next(steps)
        while True:
            if step is None:
                sent.append(left.pop(0))
                step = steps.send(sent[-1])
            else:
                waits.append(step)
                step = next(steps)
    except (StopIteration, TellergateError, TellergateUnreachable) as ended:
        end = ended
    assert 1 <= len(sent) <= tries
    assert len(waits) == len(sent) - 1
    for before, wait in zip(sent, waits, strict=False):
        assert 0 < wait <= 10.0
        if isinstance(before, ServerAnswer):
            assert before.status in (429, 502, 503, 504)
            assert is_same_again or (before.status == 429 and is_gateways(before))
            said = before.headers.get("retry-after", "")
            assert not (said.isascii() and said.isdigit()) or wait >= int(said), "not before it was said"
        else:
            assert is_same_again or not before.was_sent
    last = sent[-1]
    if isinstance(last, LostAnswer):
        assert isinstance(end, TellergateUnreachable)
        assert end.may_have_happened == last.was_sent
    elif isinstance(end, TellergateError):
        assert end.status == last.status
        assert (end.code == "c") == (is_gateways(last) and last.status >= 300)
    else:
        assert isinstance(end, StopIteration)
        assert 200 <= last.status < 300


@pytest.mark.parametrize("is_same_again", [True, False])
def test_nothing_is_asked_again_that_might_then_be_done_twice(is_same_again: bool) -> None:
    """Whatever comes first."""
    answers = [ServerAnswer(*parts) for parts in itertools.product(STATUSES, HEADS, BODIES)]
    lost = [LostAnswer("ReadError", was_sent=True), LostAnswer("ConnectError", was_sent=False)]
    firsts: list[ServerAnswer | LostAnswer] = [*answers, *lost]
    for first in firsts:
        goes([first, ServerAnswer(200, {}, b'{"count": 1}')], 3, 0.5, is_same_again=is_same_again)


@given(came=st.lists(CAME, min_size=5, max_size=5), tries=st.integers(1, 5), is_same_again=st.booleans(), jitter=st.floats(0, 1))
def test_an_exchange_ends_within_its_tries(
    came: list[ServerAnswer | LostAnswer], tries: int, is_same_again: bool, jitter: float
) -> None:
    goes(came, tries, jitter, is_same_again=is_same_again)


def test_a_chance_is_used_where_it_does_no_harm() -> None:
    """A client that never asked again would keep every rule above."""
    asked: list[ClientRequest[Any]] = [requests.get_call("call_1"), requests.engage_kill_switch("global", "why")]
    for request in asked:
        for first in (
            ServerAnswer(503, {"retry-after": "3"}, b""),
            ServerAnswer(429, {}, b""),
            LostAnswer("ReadError", was_sent=True),
        ):
            steps = exchange(request, Patience(jitter=lambda: 1.0))
            assert next(steps) is None
            wait_s = steps.send(first)
            assert wait_s == (3.0 if isinstance(first, ServerAnswer) and first.headers else 0.2)
            assert next(steps) is None


@pytest.mark.parametrize("wrong", [{"tries": 0}, {"timeout_s": 0.0}, {"wait_most_s": -1.0}])
def test_a_patience_without_a_try_or_a_time_is_none(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least"):
        Patience(**wrong)


# Where tokens may go.


@pytest.mark.parametrize(
    "url",
    [
        "https://bank.example",
        "https://bank.example:8443/gateway/",
        "http://127.0.0.1:8080",
        "http://[::1]:80",
        "http://localhost:1/",
    ],
)
def test_a_token_goes_over_https_or_to_this_machine(url: str) -> None:
    assert checked_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://bank.example",
            "http://127.0.0.1.bank.example",
            "http://localhost.bank.example",
            "http://10.0.0.1",
            "http://0.0.0.0",
        ),
        *("http://user@127.0.0.1", "https://user:pw@bank.example", "https://bank.example?x=1", "https://bank.example#x"),
        *(
            "ftp://127.0.0.1",
            "//bank.example",
            "bank.example",
            "",
            "https://",
            "https:///v1",
            "http://127.1.bank.example@evil.example",
        ),
        *("http://[::ffff:10.0.0.1]", "https://bаnk.example", "http://127.0.0.1\\@bank.example"),
    ],
)
def test_a_url_that_would_show_a_token_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        checked_url(url)


@given(host=st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True))
def test_no_other_host_is_asked_over_plain_http(host: str) -> None:
    try:
        checked_url(f"http://{host}")
    except ValueError:
        return
    assert host == "localhost" or host.startswith("127.")


@given(id_=st.text(max_size=20))
@example("../kill-switches")
@example("cnf_1?x=1")
@example("cnf_1\n")
@example("")
def test_an_id_leads_to_no_other_path(id_: str) -> None:
    """It may come out of the address that a stranger opened."""
    asking = (requests.get_call, requests.get_confirmation, requests.decline, requests.revoke_mandate, requests.revoke_passkey)
    for ask in asking:
        try:
            request = ask(id_)
        except ValueError:
            assert not id_.isascii() or not id_.replace("-", "").replace("_", "").isalnum()
            continue
        path, _, query = request.path.partition("?")
        assert path.rsplit("/", 1)[1] == id_
        assert path.isascii()
        assert query in ("", "wait_s=0")


@given(customer=st.text(max_size=20).filter(lambda text: text.isprintable()))
@example("a?b#c\\d%2F..")
def test_a_customer_leads_to_no_other_path(customer: str) -> None:
    try:
        path = requests.get_customer_mandate(customer).path
    except ValueError:
        assert "/" in customer or customer in ("", ".", "..")
        return
    assert path.count("/") == 4
    assert not set(path) & set("?#\\ ")


@pytest.mark.parametrize("customer", ["", ".", "..", "/", "a/../b"])
def test_a_customer_that_cannot_stand_in_a_path_is_refused(customer: str) -> None:
    with pytest.raises(ValueError, match="customer"):
        requests.put_customer_mandate(customer, {})


@given(token=st.text(max_size=20))
@example("a b")
@example("a\r\nx-injected: 1")
def test_a_token_that_is_none_is_not_sent_and_not_shown(token: str) -> None:
    try:
        header = sent_headers(token, None)["authorization"]
    except ValueError as error:
        assert len(token) < 3 or token not in str(error)
        return
    assert header == f"Bearer {token}"
    assert header.isascii()
    assert len(header.split()) == 2


def test_the_client_needs_httpx_and_cryptography_alone() -> None:
    """Whoever calls a gateway installs no gateway: nothing else of ours is loaded, nor of what `serve` needs."""
    program = "import sys, gateway.client; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.startswith("gateway.")} == {
        "gateway.client",
        *(f"gateway.client.{path.stem}" for path in (ROOT / "gateway" / "client").glob("[a-z]*.py")),
    }
    assert not loaded & {
        "policies",
        "adapters",
        "audit",
        "fastapi",
        "sqlalchemy",
        "pydantic",
        "aiohttp",
        "openai",
        "cedarpy",
        "orjson",
    }


# Which webhooks are genuine.

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
KEY, NEXT, STRANGER = (FileSigner(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)) for number in (1, 2, 3))
PUBLIC, OF_NEXT, OF_STRANGER = (public_key(key.public) for key in (KEY, NEXT, STRANGER))
EVENT = {
    "type": "call.settled",
    "id": "whk_1",
    "call_id": "call_1",
    "status": "done",
    "code": None,
    "confirmation_id": "cnf_1",
    "at": "2026-11-30T08:59:59+00:00",
}
BODY = json.dumps(EVENT).encode()


def sent(*keys: FileSigner, body: bytes = BODY, at: datetime = NOW, message_id: str = "whk_1") -> dict[str, str]:
    """Headers by the gateway's own signer."""
    return asyncio.run(signed(keys or (KEY,), message_id, at, body))


HEADERS = sent()


def is_taken(body: bytes, headers: Mapping[str, str], *keys: str, now: datetime = NOW) -> bool:
    try:
        verify_webhook(body, headers, keys or (PUBLIC,), now=now)
    except WebhookNotGenuine:
        return False
    return True


def test_a_genuine_webhook_is_read() -> None:
    event = verify_webhook(BODY, {name.title(): value for name, value in HEADERS.items()}, [PUBLIC], now=NOW)
    assert event == CallSettled("call.settled", "whk_1", EVENT["at"] or "", "call_1", "done", None, "cnf_1")
    newer = json.dumps({**EVENT, "type": "call.seen", "more": 1}).encode()
    told = verify_webhook(newer, sent(body=newer), [PUBLIC], now=NOW)
    assert told == WebhookEvent("call.seen", "whk_1", EVENT["at"] or "")


@given(at=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
def test_no_bit_of_a_body_may_be_another(at: int, bit: int) -> None:
    changed = bytearray(BODY)
    changed[at] ^= 1 << bit
    assert not is_taken(bytes(changed), HEADERS)


@given(name=st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), data=st.data())
def test_no_character_of_a_header_may_be_another(name: str, data: st.DataObject) -> None:
    value = HEADERS[name]
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.characters(min_codepoint=32, max_codepoint=126))
    assume(other != value[at] and at < len(value) - 3)  # the last ones hold bits that base64 does not count
    assert not is_taken(BODY, {**HEADERS, name: value[:at] + other + value[at + 1 :]})


@given(cut=st.integers(0, len(BODY) - 1), more=st.binary(min_size=1, max_size=4))
def test_nothing_may_be_cut_off_or_put_behind(cut: int, more: bytes) -> None:
    assert not is_taken(BODY[:cut], HEADERS)
    assert not is_taken(BODY + more, HEADERS)


def test_a_change_of_keys_is_taken_by_who_knows_the_old_the_new_or_both() -> None:
    both = sent(KEY, NEXT)
    assert is_taken(BODY, both, PUBLIC)
    assert is_taken(BODY, both, OF_NEXT)
    assert is_taken(BODY, HEADERS, OF_NEXT, PUBLIC)
    assert not is_taken(BODY, both, OF_STRANGER)
    assert not is_taken(BODY, sent(STRANGER), PUBLIC, OF_NEXT)


@pytest.mark.parametrize("seconds", [-301, -300, 0, 300, 301])
def test_a_webhook_of_long_ago_or_of_the_future_is_refused(seconds: int) -> None:
    assert is_taken(BODY, sent(at=NOW + timedelta(seconds=seconds))) == (abs(seconds) <= 300)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-timestamp": "0" * 20},
        {"webhook-timestamp": "١٧٦٤٤٩٣٢٠٠"},
        {"webhook-timestamp": f" {HEADERS['webhook-timestamp']}"},
        {"webhook-signature": ""},
        {"webhook-signature": HEADERS["webhook-signature"].replace("v1a", "v1")},
        {"webhook-signature": "v1a,é"},
        {"webhook-signature": "v1a,AAAA"},
        {"webhook-signature": " ".join(["v1a,AAAA"] * 16 + [HEADERS["webhook-signature"]])},
    ],
)
def test_headers_that_are_none_are_refused(changed: Mapping[str, str]) -> None:
    assert not is_taken(BODY, {**HEADERS, **changed})
    assert not is_taken(BODY, {name: value for name, value in HEADERS.items() if name not in changed})


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"\xff",
        b"{}",
        json.dumps({**EVENT, "id": "whk_2"}).encode(),
        b"[" * 60_000,
        json.dumps({**EVENT, "call_id": None}).encode(),
    ],
)
def test_what_is_signed_and_is_no_event_is_refused(body: bytes) -> None:
    assert not is_taken(body, sent(body=body))


def test_a_body_larger_than_any_event_is_not_looked_at() -> None:
    large = json.dumps({**EVENT, "more": "x" * 65_536}).encode()
    assert not is_taken(large, sent(body=large))


@pytest.mark.parametrize("keys", [[], [""], ["whpk_"], ["whpk_AAAA"], [PUBLIC.removeprefix("whpk_")], [PUBLIC, "whsec_AAAA"]])
def test_a_key_that_is_none_is_an_error_of_who_sets_it_and_never_a_webhook_taken(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="keys"):
        verify_webhook(BODY, HEADERS, keys, now=NOW)


def test_a_proof_is_made_again_once_with_the_nonce_that_was_told() -> None:
    """Even of what is never asked again: nothing of it happened."""
    wanting = ServerAnswer(401, {}, b'{"error": {"code": "use_dpop_nonce", "message": "m", "type": "t", "param": null}}')
    for then, ends in ((ServerAnswer(200, {}, b'{"count": 1}'), StopIteration), (wanting, TellergateError)):
        steps: Any = exchange(requests.add_customer_messages("conv_1", "words"), Patience())
        assert next(steps) is None
        assert steps.send(wanting) is None
        with pytest.raises(ends):
            steps.send(then)
