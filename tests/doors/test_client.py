"""The Python client and the server, held together: each method over a real gateway, by both clients, and each field against OpenAPI."""

import asyncio
import dataclasses
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import jsonschema_rs
import pytest

from gateway.app.development.software_passkey import SoftwarePasskey
from gateway.cli import main
from gateway.client import AsyncTellergateClient, MoneyText, TellergateClient, TellergateError, clients, requests
from gateway.client.requests import ClientRequest
from gateway.domain.principal import SCOPE_CONFIRM, SCOPE_ENROL, SCOPE_KILL, SCOPE_MANDATES
from gateway.doors.examples import EXAMPLES
from gateway.identity.compact import decode, encode
from tests.doors.conftest import Served
from tests.support import databases

pytest.importorskip("webauthn", reason="webauthn is absent")

METHODS = sorted(name for name, item in vars(clients._Methods).items() if isinstance(item, clients._Method))
SPELLED = {"confirm": "answer_confirmation", "confirm_by_token": "answer_confirmation", "decline": "answer_confirmation"}
"""Methods that are a case of one operation. Every other has the name of its operation."""

OTHER_CLIENTS = (
    *("/v1/assistants", "/v1/threads", "/v1/files", "/v1/uploads", "/v1/vector_stores", "/v1/chat", "/v1/responses", "/v1/models"),
    "/v1/conversations/{conversation_id}/items",
)
"""What `openai`'s clients are for."""


@dataclasses.dataclass
class Side:
    """Whoever calls: by the client that waits, or by the one that is awaited. `called` names the methods."""

    served: Served
    is_async: bool
    loop: asyncio.AbstractEventLoop
    called: set[str] = dataclasses.field(default_factory=set)

    def ask(self, token: str, method: str, *args: Any, **named: Any) -> Any:
        self.called.add(method)
        if self.is_async:
            return self.loop.run_until_complete(self._awaited(token, method, *args, **named))
        with TellergateClient(self.served.url, token=lambda: token) as client:
            return getattr(client, method)(*args, **named)

    async def _awaited(self, token: str, method: str, *args: Any, **named: Any) -> Any:
        async def given() -> str:
            return token

        async with AsyncTellergateClient(self.served.url, token=given) as client:
            return await getattr(client, method)(*args, **named)

    def held(self, conversation: str, pounds: str, number: int) -> tuple[str, str]:
        """A payment that waits: its call, its confirmation."""
        app = self.served.token()

        def call(native_id: str, name: str, **arguments: object) -> Any:
            item = {"type": "function_call", "call_id": native_id, "name": name, "arguments": json.dumps(arguments)}
            return self.ask(app, "execute_function_calls", conversation, [item], turn_id=str(number), model="a-model")

        accounts = call(f"a{number}", "list_accounts").content()["result"]["accounts"]
        account = next(item["account"] for item in accounts if item["name"] == "Everyday")
        payees = call(f"b{number}", "list_beneficiaries", account=account).content()["result"]["beneficiaries"]
        payee = next(item["beneficiary"] for item in payees if item["name"] == "Margaret Hale")
        own = self.served.token(agent=None, words=True)
        words = self.ask(own, "add_customer_messages", conversation, f"Please pay Margaret Hale {pounds} GBP.")
        assert words.count == number
        amount = {"value": pounds, "currency": "GBP"}
        answer = call(f"c{number}", "initiate_transfer", **{"from": account, "to": payee, "amount": amount})
        (result,) = answer.results
        assert (result.status, result.native_id, answer.content()["error"]["code"]) == (
            "held",
            f"c{number}",
            "confirmation_required",
        )
        return result.call_id, result.confirmation_id


@pytest.fixture(params=["sync", "async"])
def side(request: pytest.FixtureRequest, served: Served) -> Iterator[Side]:
    loop = asyncio.new_event_loop()
    yield Side(served, request.param == "async", loop)
    loop.close()


def test_every_method_is_answered_by_a_real_gateway(side: Side, tmp_path: Path) -> None:
    served, ask = side.served, side.ask
    app, own = served.token(), served.token(agent=None, scope=SCOPE_CONFIRM)
    shapes = [ask(app, "list_functions", shape).data for shape in ("responses", "chat", "assistants", "agents", "mcp")]
    assert {len(data) for data in shapes} == {len(shapes[0])}
    pence = "11" if side.is_async else "12"  # the same payment again would be a suspected duplicate
    conversation = ask(app, "create_conversation").id

    call, confirmation = side.held(conversation, f"3.{pence}", 1)
    assert ask(app, "get_call", call).status == "held"
    assert confirmation in {item.id for item in ask(own, "list_confirmations").data}
    identity = served.token("identity", agent=None, client="identity", scope=SCOPE_ENROL)
    passkey = SoftwarePasskey(tmp_path, "alice")
    enrolled = ask(identity, "enrol_passkey", "alice", passkey.credential, encode(passkey.public_key))
    assert enrolled.credential == passkey.credential
    waiting = ask(own, "get_confirmation", confirmation)
    assert passkey.credential in waiting.credentials
    page = f"http://localhost:{urlsplit(served.url).port}"
    assertion = passkey.assertion(decode(waiting.challenge), relying_party=str(waiting.rp_id), origin=page)
    confirmed = ask(own, "confirm", confirmation, assertion)
    assert (confirmed.state, [item.status for item in confirmed.results]) == ("confirmed", ["done"])
    assert ask(app, "get_call", call, wait_s=1).status == "done"
    assert ask(identity, "revoke_passkey", passkey.credential).revoked

    _, confirmation = side.held(conversation, f"4.{pence}", 2)
    assert ask(own, "decline", confirmation).state == "declined"
    _, confirmation = side.held(conversation, f"5.{pence}", 3)
    details = [{"type": "tellergate_intent", "intent": dict(ask(own, "get_confirmation", confirmation).intent)}]
    by_token = served.token(agent=None, scope=SCOPE_CONFIRM, details=details)
    assert ask(by_token, "confirm_by_token", confirmation).results[0].status == "done"

    amounts = {"per_payment": MoneyText("5.00", "GBP"), "per_day": MoneyText("9.00", "GBP")}
    proposed = ask(own, "propose_mandate", **amounts, payments_per_day=2, days=7, payees=None, agent="assistant")
    details = [{"type": "tellergate_intent", "intent": dict(ask(own, "get_confirmation", proposed.confirmation_id).intent)}]
    by_token = served.token(agent=None, scope=SCOPE_CONFIRM, details=details)
    assert ask(by_token, "confirm_by_token", proposed.confirmation_id).state == "confirmed"
    (mandate,) = ask(own, "list_mandates").data
    assert (mandate.agent, mandate.per_day, mandate.payees) == ("assistant", amounts["per_day"], None)
    assert mandate.starts < mandate.until
    assert ask(own, "revoke_mandate", mandate.id).revoked

    first = ask(own, "list_activity")
    assert {"read", "confirmation"} <= {item["what"] for item in first.data}
    assert ask(own, "list_trail_accesses").next_cursor is None
    for method in ("list_activity", "list_trail_accesses"):
        with pytest.raises(TellergateError, match="the cursor is not one of this list"):
            ask(own, method, "0&what=all")

    bank = served.token("bank-system", agent=None, client="bank-system", scope=SCOPE_MANDATES)
    customer = f"idp|nobody? {'a' if side.is_async else 'b'} & é#%2F"
    granted = ask(bank, "put_customer_mandate", customer, EXAMPLES["put_customer_mandate"].request)
    assert (granted.customer, granted.state) == (customer, "in_force")
    assert ask(bank, "get_customer_mandate", customer) == granted
    assert ask(bank, "end_customer_mandate", customer).state == "ended"

    program = served.token("watcher", agent=None, client="watcher", scope=SCOPE_KILL)
    engaged = ask(program, "engage_kill_switch", "agent", "a test", subject="a-rogue")
    assert (engaged.state, engaged.recorded, engaged.engaged_by) == ("engaged", True, "watcher")
    assert [item.id for item in ask(program, "list_kill_switches").data] == [engaged.id]
    lift(served, engaged.id)
    assert sorted(side.called) == METHODS


def lift(served: Served, switch: str) -> None:
    for name in ("ada", "ben"):
        where = ["--data", str(served.data), "--database", databases.url(served.data)]
        key = str(served.data / "dev" / "officers" / f"{name}.key")
        assert main(["kill", "lift", switch, "--officer-key", key, "--reason", "a test", *where]) == 0


def test_a_refusal_is_one_error_with_all_that_is_known_of_it(side: Side) -> None:
    missing = "call_" + "0" * 28
    with pytest.raises(TellergateError) as refused:
        side.ask(side.served.token(), "get_call", missing)
    error = refused.value
    assert (error.status, error.code, error.param, bool(error.request_id)) == (404, "not_found", "call_id", True)
    with pytest.raises(TellergateError) as refused:
        side.ask(side.served.token(), "list_confirmations")
    assert (refused.value.status, refused.value.code) == (403, "insufficient_scope")
    with pytest.raises(TellergateError) as refused:
        side.ask("not.a.token", "create_conversation")
    assert refused.value.status == 401
    assert "not.a.token" not in str(refused.value) + repr(refused.value)


def test_items_of_each_shape_are_taken(side: Side) -> None:
    app = side.served.token()
    conversation = side.ask(app, "create_conversation").id
    tool_call = {"id": "n1", "type": "function", "function": {"name": "list_accounts", "arguments": "{}"}}
    call = {"type": "function_call", "call_id": "n2", "name": "list_accounts", "arguments": "{}"}
    for shape, item in (("chat", tool_call), ("assistants", {**tool_call, "id": "n3"}), ("responses", call)):
        answer = side.ask(app, "execute_function_calls", conversation, [item], turn_id="1", shape=shape)
        assert answer.results[0].status == "done"
        assert answer.content()["result"]["accounts"]
        assert "result" not in repr(answer).replace("results=", ""), "what the customer has stays out of logs"


# What is published.


@pytest.fixture(scope="module")
def document(served: Served) -> Any:
    return served.http.get("/openapi.json").json()


def operations(document: Any) -> dict[str, tuple[str, str, Any]]:
    return {
        operation["operationId"]: (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


ID = "conv_" + "0" * 24
ARGUMENTS: Mapping[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "create_conversation": ((), {}),
    "add_customer_messages": (("conv_" + "0" * 24, "words"), {"origin": "pasted"}),
    "list_functions": (("chat",), {}),
    "execute_function_calls": ((ID, [EXAMPLES["execute_function_calls"].request["calls"][0]]), {"turn_id": "1", "model": "m"}),
    "get_call": (("call_1",), {"wait_s": 1}),
    "list_confirmations": ((), {}),
    "get_confirmation": (("cnf_1",), {}),
    "confirm": (("cnf_1", {}), {}),
    "confirm_by_token": (("cnf_1",), {}),
    "decline": (("cnf_1",), {}),
    "enrol_passkey": (("alice", "YQ", "YQ"), {}),
    "revoke_passkey": (("YQ",), {}),
    "list_mandates": ((), {}),
    "propose_mandate": (
        (),
        {
            "per_payment": MoneyText("1.00", "GBP"),
            "per_day": MoneyText("1.00", "GBP"),
            "payments_per_day": 1,
            "days": 1,
            "payees": ["20000055779911"],
        },
    ),
    "revoke_mandate": (("std_1",), {}),
    "list_activity": (("c",), {}),
    "list_trail_accesses": (("c",), {}),
    "get_customer_mandate": (("dora",), {}),
    "put_customer_mandate": (("dora", EXAMPLES["put_customer_mandate"].request), {}),
    "end_customer_mandate": (("dora",), {}),
    "list_kill_switches": ((), {}),
    "engage_kill_switch": (("agent", "why"), {"subject": "a-rogue"}),
}


def asked(name: str) -> ClientRequest[Any]:
    args, named = ARGUMENTS[name]
    made = getattr(requests, name)(*args, **named)
    assert isinstance(made, ClientRequest)
    return made


def test_the_client_has_every_operation_that_is_its_own_and_no_other(document: Any) -> None:
    own = {
        name
        for name, (path, _, _) in operations(document).items()
        if path.startswith("/v1/")
        and not path.startswith(OTHER_CLIENTS)
        and name not in ("get_conversation", "delete_conversation")
    }
    assert {SPELLED.get(name, name) for name in METHODS} == own
    assert set(ARGUMENTS) == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_a_request_is_one_that_is_published(name: str, document: Any) -> None:
    path, method, operation = operations(document)[SPELLED.get(name, name)]
    request = asked(name)
    sent, _, query = request.path.partition("?")
    assert request.method.lower() == method
    parts = zip(path.split("/"), sent.split("/"), strict=True)
    assert all(theirs == ours or (theirs.startswith("{") and ours) for theirs, ours in parts)
    known = {item["name"] for item in operation.get("parameters", ()) if item["in"] == "query"}
    assert {item.partition("=")[0] for item in query.split("&") if item} == known
    if request.body is None:
        assert "requestBody" not in operation
    else:
        schema = {**operation["requestBody"]["content"]["application/json"]["schema"], "components": document["components"]}
        assert [error.message for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(request.body)] == []


@pytest.mark.parametrize("name", METHODS)
def test_an_answer_has_the_fields_that_are_published(name: str, document: Any) -> None:
    _, _, operation = operations(document)[SPELLED.get(name, name)]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert differences(answer_of(name), schema, document, name) == ({"create_conversation.object"} if "conv" in name else set())
    request, example = asked(name), EXAMPLES[SPELLED.get(name, name)].answer
    assert request.read(example) == request.read({**example, "of_a_newer_gateway": {}}), "what is new is ignored"


def answer_of(name: str) -> Any:
    (kind,) = get_args(get_type_hints(getattr(requests, name))["return"])
    return kind


def differences(kind: Any, schema: Any, document: Any, where: str) -> set[str]:
    """Where a dataclass is not what a schema says. A schema that leaves a field free is met by Any alone."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in schema:
        nullable = [item for item in schema["anyOf"] if item.get("type") != "null"]
        assert len(nullable) == 1, where
        return differences(kind, nullable[0], document, where) | (set() if takes_none(kind) else {where})
    inner = [item for item in get_args(kind) if item is not NoneType]
    if get_origin(kind) in (Union, UnionType):
        return differences(inner[0], schema, document, where)
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        ours = {item.metadata.get("key", item.name): hints[item.name] for item in dataclasses.fields(kind)}
        theirs = schema["properties"]
        found = {f"{where}.{key}" for key in theirs.keys() - ours.keys()}
        found |= {f"{where}.{key}" for key in ours.keys() - theirs.keys() if not takes_none(ours[key])}
        for key in ours.keys() & theirs.keys():
            found |= differences(ours[key], theirs[key], document, f"{where}.{key}")
        return found
    if schema.get("type") == "array":
        return differences(inner[0], schema["items"], document, f"{where}[]") if get_origin(kind) is tuple else {where}
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        if get_origin(kind) is not Mapping:
            return {where}
        return set() if not isinstance(values, dict) else differences(inner[1], values, document, f"{where}{{}}")
    names = {"string": str, "integer": int, "boolean": bool}
    type_ = schema.get("type") or {str: "string", bool: "boolean"}[type(schema["const"])]
    return set() if kind is names[type_] else {where}


def takes_none(kind: Any) -> bool:
    return NoneType in get_args(kind)


def test_both_clients_have_the_same_methods_and_say_what_they_are_for() -> None:
    def methods(client: type[Any]) -> set[str]:
        return {name for name in dir(client) if not name.startswith("_")}

    assert methods(TellergateClient) == methods(AsyncTellergateClient) == {*METHODS, "send", "close"}
    client = TellergateClient("http://127.0.0.1:9", token="t")
    for name in METHODS:
        method: Callable[..., Any] = getattr(client, name)
        assert inspect.signature(method) == inspect.signature(getattr(requests, name))
        assert len(method.__doc__ or "") > 8, name
    client.close()
