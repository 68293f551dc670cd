"""Bad input gets a clear error with a stable code, is recorded, and loses nothing; no message repeats a value that was sent."""

import json

import pytest

from gateway.domain.principal import SCOPE_ASSISTANTS, SCOPE_KILL
from tests.doors.conftest import Served

SECRET = "s3cr3t-input"

BODIES = {
    "nothing": (b"", "invalid_json"),
    "no JSON": (b"{nope", "invalid_json"),
    "two values": (b"{} {}", "invalid_json"),
    "a list": (b"[]", "invalid_request"),
    "NaN": (b'{"shape": NaN}', "invalid_json"),
    "infinity": (b'{"shape": 1e999}', "invalid_json"),
    "a duplicate key": (b'{"shape": "chat", "shape": "chat"}', "duplicate_key"),
    "a duplicate key, escaped": (b'{"shape": "chat", "\\u0073hape": "chat"}', "duplicate_key"),
    "a duplicate key inside": (b'{"shape": "chat", "calls": [{"id": 1, "id": 2}]}', "duplicate_key"),
    "a lone surrogate": (b'{"shape": "\\ud800"}', "invalid_json"),
    "bytes that are no UTF-8": (b'{"shape": "\xff"}', "invalid_json"),
    "nested too deep": (b"[" * 40 + b"]" * 40, "too_deep"),
    "nested beyond the parser": (b"[" * 5000, "too_deep"),
    "a huge number": (b'{"shape": 123456789012345678901234567890}', "invalid_json"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "invalid_json"),
    "an unknown shape": (b'{"shape": "telegram"}', "unknown_shape"),
    "an unknown field": (json.dumps({"shape": "chat", "surplus": SECRET}).encode(), "invalid_request"),
    "too large": (b'{"shape": "' + b"a" * 300_000 + b'"}', "too_large"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_not_taken_is_named_and_recorded(served: Served, name: str) -> None:
    body, code = BODIES[name]
    before = served.audit("--kind", "deny", "--limit", "500")["size"]
    answered = served.post("/v1/function-calls", body)
    assert answered.status_code in (400, 413)
    error = answered.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert error["message"]
    assert SECRET not in answered.text
    denied = served.audit("--kind", "deny", "--customer", "alice", "--limit", "500")["records"]
    assert denied[-1]["index"] >= before
    assert denied[-1]["leaf"]["facts"] == {"code": "request_fault", "reason": code}


EMPTY = {
    "/v1/function-calls": "the body is empty: expected an object with the fields shape, conversation_id, turn_id, calls",
    "/v1/kill-switches": "the body is empty: expected an object with the fields scope, reason",
    "/v1/assistants": "the body is empty: expected an object with the fields model",
}


@pytest.mark.parametrize("path", EMPTY)
def test_an_empty_body_is_told_what_was_expected(served: Served, path: str) -> None:
    token = {"/v1/assistants": SCOPE_ASSISTANTS, "/v1/kill-switches": SCOPE_KILL}.get(path)
    own = None if token is None else served.token("office", agent=None, client="office", scope=token)
    error = served.post(path, b"", token=own).json()["error"]
    assert (error["code"], error["message"]) == ("invalid_json", EMPTY[path])


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_conversation_is_opened_without_a_body(served: Served, body: bytes) -> None:
    answered = served.post("/v1/conversations", body)
    assert answered.status_code == 200
    assert answered.json()["id"].startswith("conv_")
    bare = served.http.request("POST", "/v1/conversations", headers={"authorization": f"Bearer {served.token()}"}, content=None)
    assert bare.status_code == 200


def test_a_field_that_is_not_known_is_named_cut_and_escaped(served: Served) -> None:
    for name, said in {"surplus": "surplus", "x\u202e" + "y" * 500: "x\\u202e" + "y" * 62 + "..."}.items():
        error = served.post("/v1/conversations", {name: SECRET}).json()["error"]
        assert error == {
            "message": f"{said}: this field is not known here",
            "type": "invalid_request_error",
            "param": said,
            "code": "invalid_request",
        }


ARGUMENTS = {
    "no JSON": ("{nope", "invalid_json"),
    "not an object": ("[]", "wrong_type"),
    "a duplicate key": ('{"account": "acc_x", "account": "acc_y"}', "duplicate_key"),
    "NaN": ('{"account": NaN}', "invalid_json"),
    "a lone surrogate": ('{"account": "\\udfff"}', "invalid_json"),
    "nested too deep": ('{"account": ' + "[" * 20 + "]" * 20 + "}", "too_deep"),
    "too large": (json.dumps({"account": "a" * 20_000}), "too_large"),
    "missing": ("{}", "missing_argument"),
    "a field that is not declared": (json.dumps({"account": "acc_x", SECRET: 1}), "unknown_argument"),
    "of another type": ('{"account": 1}', "wrong_type"),
    "null": ('{"account": null}', "wrong_type"),
    "not a choice": ("CHOICE", "not_a_choice"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_that_are_not_taken_are_named_and_recorded(served: Served, name: str) -> None:
    arguments, reason = ARGUMENTS[name]
    conversation = served.conversation()
    if arguments == "CHOICE":
        account = served.call("list_accounts", {}, conversation=conversation)["model"]["result"]["accounts"][0]["account"]
        arguments = json.dumps({"account": account, "type": "ABCD"})
    told = served.call("get_account_balance", arguments, conversation=conversation)
    assert (told["status"], told["code"]) == ("denied", "invalid_argument")
    assert told["model"]["ok"] is False
    assert told["model"]["error"]["code"] == "invalid_argument"
    assert SECRET not in json.dumps(told)
    (record,) = served.audit("--call", told["call_id"])["records"]
    assert record["index"] == told["proof"]["index"]
    assert record["leaf"]["facts"]["reason"] == reason


TEXTS = {
    "bidirectional": "pay\u202eyap",
    "zero width": "pa\u200by",
    "a control character": "pay\u0007",
    "a tag character": "pay\U000e0041",
    "too long": "a" * 19,
    "beyond the scheme's characters": "pay €",
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_that_deceives_the_eye_is_refused(served: Served, name: str) -> None:
    conversation = served.conversation()
    accounts = served.call("list_accounts", {}, conversation=conversation)["model"]["result"]["accounts"]
    debit, credit = [account["account"] for account in accounts if account["currency"] == "GBP" and account["status"] == "open"][:2]
    wanted = {"from": debit, "to": credit, "amount": {"value": "1.00", "currency": "GBP"}, "reference": TEXTS[name]}
    told = served.call("initiate_transfer", wanted, conversation=conversation)
    assert (told["status"], told["code"]) == ("denied", "invalid_argument")
    assert told["model"]["error"]["message"].startswith("reference ")


AMOUNTS = ("0", "0.00", "-1", "+1", "1e3", "1.001", "01.00", "1,00", " 1", "١", "10000000000000000", "", ".5", "1.", "0x10", "NaN")


@pytest.mark.parametrize("value", AMOUNTS)
def test_an_amount_is_exact_or_refused(served: Served, value: str) -> None:
    conversation = served.conversation()
    accounts = served.call("list_accounts", {}, conversation=conversation)["model"]["result"]["accounts"]
    debit, credit = [account["account"] for account in accounts if account["currency"] == "GBP" and account["status"] == "open"][:2]
    told = served.call(
        "initiate_transfer", {"from": debit, "to": credit, "amount": {"value": value, "currency": "GBP"}}, conversation=conversation
    )
    assert (told["status"], told["code"]) == ("denied", "invalid_argument")


def test_an_unknown_function_is_denied_and_recorded_and_the_others_of_its_request_are_done(served: Served) -> None:
    def item(name: str, native_id: str) -> dict[str, str]:
        return {"type": "function_call", "call_id": native_id, "name": name, "arguments": "{}"}

    calls = [item("list_cards", "a"), item("drop_tables", "b"), item("list_accounts", "c")]
    body = {"shape": "responses", "conversation_id": served.conversation(), "turn_id": "t", "calls": calls}
    results = served.post("/v1/function-calls", body).json()["results"]
    assert [(result["native_id"], result["status"], result["code"]) for result in results] == [
        ("a", "done", None),
        ("b", "denied", "denied"),
        ("c", "done", None),
    ]
    (record,) = served.audit("--call", results[1]["call_id"])["records"]
    assert record["leaf"]["facts"]["reason"] == "unknown_function"


def test_too_many_calls_are_refused_as_a_whole(served: Served) -> None:
    calls = [{"type": "function_call", "call_id": f"c{n}", "name": "list_cards", "arguments": "{}"} for n in range(33)]
    body = {"shape": "responses", "conversation_id": served.conversation(), "turn_id": "t", "calls": calls}
    answered = served.post("/v1/function-calls", body)
    assert (answered.status_code, answered.json()["error"]["code"]) == (400, "too_many_calls")


def test_a_conversation_of_another_customer_is_one_that_never_was(served: Served) -> None:
    theirs = served.conversation(served.token("bruno"))
    answers = []
    for conversation in (theirs, "conv_" + "0" * 24):
        body = {"shape": "responses", "conversation_id": conversation, "turn_id": "t"}
        body["calls"] = [{"type": "function_call", "call_id": "c", "name": "list_cards", "arguments": "{}"}]  # type: ignore[assignment]
        answered = served.post("/v1/function-calls", body)
        answers.append((answered.status_code, answered.content))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
