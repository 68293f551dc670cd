"""The JSON door of the customer's word: who may see, confirm, decline; who may enrol; and what each refusal is called."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.principal import SCOPE_CALLS, SCOPE_CONFIRM, SCOPE_ENROL, SCOPE_WORDS, SCOPES
from gateway.domain.proposal import challenge
from gateway.identity.compact import decode, encode
from tests.support.passkeys import ORIGIN, RP_ID, Authenticator, MemoryConfirmations, MemoryPasskeys, intent_of, proposal_of

pytest.importorskip("webauthn", reason="webauthn is absent")
from tests.support.confirming import Front  # after the skip

PATH = "/v1/confirmations/cnf_1"


@pytest.fixture
def front(tmp_path: Path) -> Front:
    made = Front(tmp_path, MemoryConfirmations(), MemoryPasskeys())
    propose(made)
    return made


def propose(front: Front, name: str = "cnf_1", **changed: Any) -> dict[str, Any]:
    intent = intent_of(name, **{key: changed.pop(key) for key in ("customer", "level") if key in changed})
    front.kept.kept[name] = proposal_of(intent, **{"created": front.now, **changed})
    return intent


def code(answered: Any) -> tuple[int, str]:
    return answered.status_code, answered.json()["error"]["code"]


async def opened(front: Front, device: Authenticator, **changed: Any) -> dict[str, Any]:
    """Open it, and what the device signs then."""
    answered = await front.ask("GET", PATH)
    assert answered.status_code == 200, answered.text
    return {"assertion": device.assertion(decode(answered.json()["challenge"]), **changed)}


async def test_what_waits_is_listed_and_opened_with_all_that_a_device_needs(front: Front) -> None:
    device = Authenticator()
    front.active(device)
    new = Authenticator(credential=encode(b"new"))
    front.passkeys.kept[new.credential] = new.passkey(active_from=front.now + timedelta(hours=1))
    listed = (await front.ask("GET", "/v1/confirmations")).json()["data"]
    assert [(item["id"], item["state"], item["level"]) for item in listed] == [("cnf_1", "open", 3)]
    shown = (await front.ask("GET", PATH)).json()
    assert shown["intent"] == intent_of()
    assert decode(shown["challenge"]) == challenge(front.kept.kept["cnf_1"].intent)
    assert (shown["rp_id"], shown["credentials"]) == (RP_ID, [device.credential])
    assert shown["challenge_expires"] == (front.now + timedelta(minutes=5)).isoformat()
    assert set(shown) == {
        *("id", "state", "level", "created", "expires", "intent", "challenge", "challenge_expires", "rp_id", "credentials")
    }


async def test_an_assertion_over_the_intent_confirms_it_once(front: Front) -> None:
    device = Authenticator()
    front.active(device)
    said = await opened(front, device, sign_count=1)
    answered = await front.ask("POST", PATH, said)
    assert answered.status_code == 200, answered.text
    assert answered.json()["state"] == "confirmed"
    assert [item["status"] for item in answered.json()["results"]] == ["done"]
    assert (await front.ask("GET", PATH)).json()["state"] == "confirmed"
    assert code(await front.ask("POST", PATH, said)) == (409, "confirmation_used")
    assert len(front.kept.confirmed) == 1


async def test_a_decline_needs_no_passkey_and_ends_it(front: Front) -> None:
    answered = await front.ask("POST", PATH, {"decline": True})
    assert (answered.status_code, answered.json()) == (200, {"state": "declined", "results": []})
    assert code(await front.ask("POST", PATH, {"decline": True})) == (409, "confirmation_declined")
    assert code(await front.ask("POST", PATH, await opened(front, Authenticator()))) == (409, "confirmation_declined")


async def test_each_state_that_is_not_open_has_its_code(front: Front) -> None:
    device = Authenticator()
    front.active(device)
    said = await opened(front, device)
    front.later(minutes=5, seconds=1)
    assert code(await front.ask("POST", PATH, said)) == (409, "challenge_expired")
    assert (await front.ask("POST", PATH, await opened(front, device))).status_code == 200
    propose(front, "cnf_1")
    assert code(await front.ask("POST", PATH, {"assertion": said["assertion"]})) == (409, "challenge_expired")  # never opened
    said = await opened(front, device)
    propose(front, "cnf_0", created=front.now - timedelta(minutes=1))
    assert code(await front.ask("POST", PATH, said)) == (409, "confirmation_waits")
    front.later(minutes=15)
    assert code(await front.ask("POST", PATH, said)) == (409, "confirmation_expired")
    assert (await front.ask("GET", PATH)).json()["state"] == "expired"


async def test_what_is_absent_and_what_is_another_customer_s_are_one_and_the_same(front: Front) -> None:
    device = Authenticator()
    front.active(device, "bob")
    bob = front.token("bob")
    bodies: list[dict[str, Any]] = [{"decline": True}, {"token": True}, {"assertion": device.assertion(b"c")}]
    for body in [None, *bodies]:
        method = "GET" if body is None else "POST"
        strangers = await front.ask(method, PATH, body, token=bob)
        absent = await front.ask(method, "/v1/confirmations/cnf_9", body, token=bob)
        assert strangers.status_code == absent.status_code == 404
        assert strangers.content == absent.content
    assert (await front.ask("GET", "/v1/confirmations", token=bob)).json() == {"data": []}
    assert front.kept.kept["cnf_1"].state == "open"
    assert front.kept.kept["cnf_1"].opened is None


@pytest.mark.parametrize(
    "claims",
    [
        {"agent": "assistant"},
        {"agent": "assistant", "scope": f"{SCOPE_CONFIRM} {SCOPE_CALLS}"},
        {"scope": SCOPE_CALLS},
        {"scope": SCOPE_WORDS},
        {"scope": SCOPE_ENROL},
        {"scope": "confirmation"},
    ],
    ids=str,
)
async def test_an_agent_s_token_and_one_without_the_scope_see_and_say_nothing(front: Front, claims: dict[str, Any]) -> None:
    token = front.token(**claims)
    said = await opened(front, Authenticator())
    for method, path, body in (
        ("GET", "/v1/confirmations", None),
        ("GET", PATH, None),
        ("POST", PATH, said),
        ("POST", PATH, {"decline": True}),
        ("POST", PATH, {"token": True}),
    ):
        assert code(await front.ask(method, path, body, token=token)) == (403, "insufficient_scope")
    assert front.kept.kept["cnf_1"].state == "open"
    assert code(await front.ask("GET", PATH, token="")) == (401, "missing_token")


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        {"decline": False},
        {"decline": 1},
        {"token": "x"},
        {"decline": True, "token": True},
        {"assertion": {}, "decline": True},
        {"decline": True, "more": 1},
        {"confirm": True},
        {"assertion": "text"},
        b"{",
        b'{"decline": true, "decline": true}',
    ],
    ids=repr,
)
async def test_a_body_is_exactly_one_word(front: Front, body: Any) -> None:
    answered = await front.ask("POST", PATH, body if isinstance(body, bytes) else (b"null" if body is None else body))
    assert answered.status_code == 400
    assert front.kept.kept["cnf_1"].state == "open"


async def test_a_refused_assertion_names_its_reason_to_the_device_and_to_the_trail(front: Front) -> None:
    device = Authenticator()
    front.active(device)
    answered = await front.ask("POST", PATH, await opened(front, device, origin="https://window.bank.example"))
    assert code(answered) == (422, "not_confirmed")
    assert "wrong_origin" in answered.json()["error"]["message"]
    assert "window.bank" not in answered.text
    assert ("alice", "not_confirmed_wrong_origin") in front.trail.said


class TestByToken:
    """RFC 9396: the token itself names what it confirms."""

    def details(self, front: Front, **changed: Any) -> list[dict[str, Any]]:
        return [{"type": "tellergate_intent", "intent": front.kept.kept["cnf_1"].content | changed}]  # type: ignore[operator]

    async def test_a_token_that_names_exactly_the_intent_confirms_it_once(self, front: Front) -> None:
        await front.ask("GET", PATH)
        token = front.token(details=self.details(front))
        answered = await front.ask("POST", PATH, {"token": True}, token=token)
        assert answered.status_code == 200, answered.text
        kept = front.kept.confirmed[0]
        assert (kept.by, kept.method.value) == ("alice", "token")
        assert b"cnf_1" in kept.kept
        assert token.encode() not in kept.kept
        assert code(await front.ask("POST", PATH, {"token": True}, token=token)) == (409, "confirmation_used")

    @pytest.mark.parametrize(
        ("claims", "reason"),
        [
            ({}, "token_of_another_intent"),
            ({"details": []}, "token_of_another_intent"),
            ({"changed": {"total": {"value": "1.00", "currency": "GBP"}}}, "token_of_another_intent"),
            ({"changed": {"version": True}}, "token_of_another_intent"),
            ({"changed": {}, "strong": False}, "token_without_strong_sign_in"),
        ],
        ids=str,
    )
    async def test_any_other_token_confirms_nothing(self, front: Front, claims: dict[str, Any], reason: str) -> None:
        await front.ask("GET", PATH)
        if "changed" in claims:
            claims = {**claims, "details": self.details(front, **claims["changed"])}
            del claims["changed"]
        answered = await front.ask("POST", PATH, {"token": True}, token=front.token(**claims))
        assert code(answered) == (422, "not_confirmed")
        assert reason in answered.json()["error"]["message"]
        assert not front.kept.confirmed

    async def test_a_sign_in_from_before_the_proposal_was_about_something_else(self, front: Front) -> None:
        token = front.token(details=self.details(front))
        front.kept.kept["cnf_1"] = replace(front.kept.kept["cnf_1"], created=front.now + timedelta(seconds=30))
        await front.ask("GET", PATH)
        answered = await front.ask("POST", PATH, {"token": True}, token=token)
        assert "token_of_an_earlier_sign_in" in answered.json()["error"]["message"]

    async def test_where_tokens_are_switched_off_a_passkey_alone_confirms(self, front: Front) -> None:
        object.__setattr__(front.party, "takes_tokens", False)
        device = Authenticator()
        front.active(device)
        said = await opened(front, device)
        answered = await front.ask("POST", PATH, {"token": True}, token=front.token(details=self.details(front)))
        assert code(answered) == (422, "not_confirmed")
        assert "tokens_not_taken" in answered.json()["error"]["message"]
        assert not front.kept.confirmed
        assert (await front.ask("POST", PATH, said)).json()["state"] == "confirmed"

    async def test_without_having_been_opened_a_token_confirms_nothing(self, front: Front) -> None:
        answered = await front.ask("POST", PATH, {"token": True}, token=front.token(details=self.details(front)))
        assert code(answered) == (409, "challenge_expired")


async def test_four_eyes_use_the_same_resource_each_with_their_own_passkey(front: Front) -> None:
    propose(front, level=4)
    alice, bob = Authenticator(), Authenticator(credential=encode(b"bob-1"))
    front.active(alice)
    front.active(bob, "bob")
    front.kept.approvers = {"bob"}
    assert (await front.ask("GET", PATH, token=front.token("bob"))).status_code == 404  # nothing to approve yet
    answered = await front.ask("POST", PATH, await opened(front, alice))
    assert answered.json() == {"state": "confirmed", "results": []}
    over = decode((await front.ask("GET", PATH, token=front.token("bob"))).json()["challenge"])
    not_hers = await front.ask("POST", PATH, {"assertion": alice.assertion(over)}, token=front.token("bob"))
    assert code(not_hers) == (422, "not_confirmed")
    answered = await front.ask("POST", PATH, {"assertion": bob.assertion(over)}, token=front.token("bob"))
    assert answered.json()["state"] == "approved"
    assert [item.by for item in front.kept.confirmed] == ["alice", "bob"]


class TestEnrolment:
    """Passkeys come from the bank's identity system, and from nobody else."""

    def body(self, device: Authenticator, **changed: Any) -> dict[str, Any]:
        return {
            "customer": "alice",
            "credential": device.credential,
            "public_key": encode(device.public_key),
            "sign_count": 3,
        } | changed

    @pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
    async def test_it_cools_off_confirms_and_is_revoked(self, front: Front, algorithm: str) -> None:
        device = Authenticator(algorithm)
        answered = await front.ask("POST", "/v1/passkeys", self.body(device), token=front.enrolling())
        assert answered.status_code == 200, answered.text
        assert answered.json()["active_from"] == (front.now + timedelta(minutes=30)).isoformat()
        early = await front.ask("POST", PATH, await opened(front, device, sign_count=4))
        assert "cooling_off" in early.json()["error"]["message"]
        front.later(minutes=30)
        propose(front)
        answered = await front.ask("POST", PATH, await opened(front, device, sign_count=5))
        assert answered.json()["state"] == "confirmed"
        answered = await front.ask("DELETE", f"/v1/passkeys/{device.credential}", token=front.enrolling())
        assert answered.json() == {"credential": device.credential, "revoked": True}
        assert front.trail.said[0] == ("alice", "enrolled by identity")
        assert front.trail.said[-1] == ("alice", "revoked by identity")
        again = await front.ask("DELETE", f"/v1/passkeys/{device.credential}", token=front.enrolling())
        assert code(again) == (404, "not_found")

    async def test_a_credential_is_one_customer_s_for_ever(self, front: Front) -> None:
        device = Authenticator()
        assert (await front.ask("POST", "/v1/passkeys", self.body(device), token=front.enrolling())).status_code == 200
        again = await front.ask("POST", "/v1/passkeys", self.body(device, customer="mallory"), token=front.enrolling())
        assert code(again) == (409, "passkey_known")
        assert front.passkeys.kept[device.credential].customer == "alice"

    async def test_nobody_but_the_identity_system_enrols_or_revokes(self, front: Front) -> None:
        device = Authenticator()
        front.active(device)
        tokens = [
            front.enrolling(agent="assistant"),
            *(front.enrolling(scope=f"{SCOPE_ENROL} {more}") for more in sorted(set(SCOPES) - {SCOPE_ENROL})),
            front.enrolling(client="another"),
            front.token(scope=SCOPE_ENROL),
            front.token(),
            front.token(scope=SCOPE_CALLS),
        ]
        new = self.body(Authenticator(credential=encode(b"evil")))
        for token in tokens:
            assert code(await front.ask("POST", "/v1/passkeys", new, token=token)) == (403, "insufficient_scope")
            assert code(await front.ask("DELETE", f"/v1/passkeys/{device.credential}", token=token)) == (403, "insufficient_scope")
        assert list(front.passkeys.kept) == [device.credential]
        assert not front.passkeys.revoked

    @pytest.mark.parametrize(
        "changed",
        [
            {"public_key": "AA"},
            {"public_key": "A"},
            {"public_key": encode(b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20" + bytes(31))},
            {"credential": ""},
            {"credential": "a b"},
            {"sign_count": -1},
            {"sign_count": 2**32},
            {"customer": ""},
            {"more": 1},
        ],
        ids=str,
    )
    async def test_what_no_auditor_could_verify_is_not_enrolled(self, front: Front, changed: dict[str, Any]) -> None:
        body = self.body(Authenticator(), **changed)
        assert code(await front.ask("POST", "/v1/passkeys", body, token=front.enrolling())) == (400, "invalid_request")
        assert not front.passkeys.kept


async def test_the_page_s_host_serves_nothing_of_the_api_nor_the_api_s_the_page(front: Front) -> None:
    assert code(await front.ask("GET", "/v1/confirmations", base=ORIGIN)) == (404, "not_found")
    assert code(await front.ask("GET", "/confirm/cnf_1")) == (404, "not_found")
    assert code(await front.ask("GET", "/confirm.js")) == (404, "not_found")
