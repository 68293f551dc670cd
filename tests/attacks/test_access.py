"""Who may ask for what: every published operation with every kind of token, held against the table in `gateway/README.md`.

A cell of the table answers; every other kind of token gets 401, 403 or 404, learns nothing, and changes nothing. What is another's is
answered as what was never there.
"""

import itertools
import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app.development.scripted_model import MODEL
from gateway.domain.principal import (
    SCOPE_ASSISTANTS,
    SCOPE_CALLS,
    SCOPE_CONFIRM,
    SCOPE_ENROL,
    SCOPE_KILL,
    SCOPE_MANDATES,
    SCOPE_THREADS,
    SCOPE_WORDS,
    SCOPES,
)
from gateway.doors import examples, response_examples, vector_examples
from gateway.doors.examples import EXAMPLES
from tests.doors.conftest import OBJECT, Served, serving
from tests.doors.test_mandates import CUSTOMER, dev, pay, proposed, standing
from tests.support.waiting import WAITS_S

pytest.importorskip("webauthn", reason="webauthn is absent")

GUIDE = Path(__file__).parents[2] / "gateway" / "README.md"
CLIENT, STRANGER = "dev-app", "carol"
WHO = ("client", "customer", "agent")
REFUSED = (401, 403, 404)
FREE = {"GET /livez", "GET /readyz", "GET /version"}
"""Without a token."""
ONCE = ("DELETE ", "/cancel", "/submit_tool_outputs", "POST /v1/confirmations/")
"""What changes an object so that it cannot be done again: each that may do it gets objects of its own."""

FORMS = {"POST /v1/files": "file", "POST /v1/uploads/{upload_id}/parts": "data"}
"""What takes a form, and which of its parts is the file."""

AMOUNTS = itertools.count(26)
"""More than the standing mandate allows at once, and never again what was declined."""

Cell = tuple[str, str, str]
"""Operation, scope, who."""


def table() -> set[Cell]:
    """The cells of the guide's table that say yes."""
    section = GUIDE.read_text().split("### Who may ask for what", 1)[1].split("\n### ", 1)[0]
    cells: set[Cell] = set()
    for line in section.splitlines():
        columns = [column.strip() for column in line.strip("|").split("|")]
        if len(columns) != 6 or not columns[0].startswith("`"):
            continue
        operations = [
            f"{verb} {path}" for verbs, path in re.findall(r"`([A-Z, ]+) (/[^`]*)`", columns[0]) for verb in verbs.split(", ")
        ]
        assert operations, line
        may = [who for who, cell in zip(WHO, columns[2:5], strict=True) if cell == "yes"]
        cells |= {(item, scope, who) for item in operations for scope in re.findall(r"`([a-z_]+)`", columns[1]) for who in may}
    return cells


def waited(served: Served, path: str, token: str) -> None:
    """Until the batch at this path is indexed."""
    ends = time.monotonic() + WAITS_S
    while served.get(path, token=token).json()["status"] == "in_progress":
        assert time.monotonic() < ends
        time.sleep(0.05)


@dataclass
class World:
    served: Served
    operations: Mapping[str, str]
    """The name of each, such as `GET /v1/threads/{thread_id}`, and its id."""

    def token(self, who: str, *scopes: str, customer: str = CUSTOMER, client: str = CLIENT) -> str:
        subject = client if who == "client" else customer
        agent = "assistant" if who == "agent" else None
        return self.served.token(subject, agent=agent, client=client, scope=" ".join(scopes))

    def objects(self, maker: str = "customer") -> dict[str, str]:
        """One of each kind, the customer's, by the ids of the examples. `maker`: of the assistant."""
        served = self.served
        for waits in served.get("/v1/confirmations", token=self.token("customer", SCOPE_CONFIRM)).json()["data"]:
            served.decline(waits["id"], customer=CUSTOMER)  # one that moves money stands before the next
        held = pay(served, f"{next(AMOUNTS)}.00", secrets.token_hex(4))
        assert held["status"] == "held", str(held)
        own = self.token("customer", SCOPE_THREADS, SCOPE_WORDS)
        made = served.post("/v1/assistants", EXAMPLES["create_assistant"].request, token=self.token(maker, SCOPE_ASSISTANTS)).json()
        by = self.token(maker, SCOPE_ASSISTANTS)
        file = served.http.post(
            "/v1/files",
            data={"purpose": "assistants"},
            files={"file": ("a.txt", secrets.token_bytes(9))},
            headers={"authorization": f"Bearer {by}"},
        )
        upload = served.post("/v1/uploads", EXAMPLES["create_upload"].request, token=by)
        store = served.post("/v1/vector_stores", {}, token=by).json()["id"]
        batch = served.post(f"/v1/vector_stores/{store}/file_batches", {"file_ids": [file.json()["id"]]}, token=by).json()["id"]
        waited(served, f"/v1/vector_stores/{store}/file_batches/{batch}", by)
        thread = served.post("/v1/threads", {"messages": [{"role": "user", "content": "My balance?"}]}, token=own).json()["id"]
        run = served.post(f"/v1/threads/{thread}/runs", {"assistant_id": made["id"]}, token=own).json()["id"]
        runs = f"/v1/threads/{thread}/runs/{run}"
        while served.get(runs, token=own).json()["status"] in ("queued", "in_progress"):
            time.sleep(0.02)  # it ends by itself: the scripted model answers at once
        background = {**EXAMPLES["create_response"].request, "background": True}
        response = served.post("/v1/responses", background, token=own).json()["id"]
        while served.get(f"/v1/responses/{response}", token=own).json()["status"] in ("queued", "in_progress"):
            time.sleep(0.02)
        passkey = {**EXAMPLES["enrol_passkey"].request, "credential": secrets.token_urlsafe(16), "customer": CUSTOMER}
        assert served.post("/v1/passkeys", passkey, token=self.token("client", SCOPE_ENROL, client="identity")).status_code == 200
        engaged = served.post(
            "/v1/kill-switches",
            {"scope": "agent", "subject": secrets.token_hex(4), "reason": "a test"},
            token=self.token("client", SCOPE_KILL, client="monitor"),
        )
        return {
            examples.CONVERSATION: served.conversation(served.token(CUSTOMER)),
            examples.CALL: held["call_id"],
            examples.CONFIRMATION: held["confirmation_id"],
            examples.ASSISTANT: made["id"],
            examples.FILE: file.json()["id"],
            examples.UPLOAD: upload.json()["id"],
            vector_examples.VECTOR_STORE: store,
            vector_examples.BATCH: batch,
            examples.THREAD: thread,
            examples.MESSAGE: served.get(f"/v1/threads/{thread}/messages?order=asc", token=own).json()["data"][0]["id"],
            examples.RUN: run,
            response_examples.RESPONSE: response,
            examples.STEP: served.get(f"{runs}/steps", token=own).json()["data"][-1]["id"],
            examples.CREDENTIAL: passkey["credential"],
            OBJECT["customer"]: self.granted(),
            examples.MANDATE: self.mandate(),
            examples.KILL_SWITCH: engaged.json()["id"],
            OBJECT["model"]: MODEL,
        }

    def granted(self) -> str:
        """A customer of whom nothing else is known, with a mandate."""
        body, token = EXAMPLES["put_customer_mandate"].request, self.token("client", SCOPE_MANDATES, client="bank-system")
        path = f"/v1/customers/{OBJECT['customer']}/mandate"
        self.served.http.put(path, json=body, headers={"authorization": f"Bearer {token}"})  # or it was ended before: it is there
        return OBJECT["customer"]

    def mandate(self) -> str:
        known = {item["id"] for item in standing(self.served)}
        status, told = dev(self.served, "confirm", proposed(self.served))
        assert status == 0, told
        return str(next(item["id"] for item in standing(self.served) if item["id"] not in known))

    def ask(self, operation: str, token: str | None, ids: Mapping[str, str]) -> httpx.Response:
        """The example's request, about these objects."""
        method, path = operation.split(" ")
        for name in re.findall(r"\{([a-z_]+)\}", path):
            path = path.replace(f"{{{name}}}", ids[OBJECT[name]])
        if operation == "GET /v1/functions":
            path += "?shape=chat"
        body = json.dumps(EXAMPLES[self.operations[operation]].request)
        for ours, theirs in ids.items():
            body = body.replace(ours, theirs)
        if operation == "POST /v1/kill-switches":
            body = body.replace("initiate_transfer", "get_fx_quote")  # which nothing else here calls
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        if operation in FORMS:
            fields = json.loads(body)
            file = {FORMS[operation]: ("a.txt", fields.pop(FORMS[operation]).encode())}
            return self.served.http.request(method, path, data=fields, files=file, headers=headers)
        return self.served.http.request(method, path, content=None if body == "null" else body, headers=headers)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving(tmp_path_factory.mktemp("access") / "data", model=None) as served:
        paths = served.http.get("/openapi.json").json()["paths"]
        yield World(
            served,
            {
                f"{method.upper()} {path}": known["operationId"]
                for path, methods in paths.items()
                for method, known in methods.items()
            },
        )


@pytest.fixture(scope="module")
def ids(world: World) -> dict[str, str]:
    return world.objects()


def test_the_table_names_each_published_operation(world: World) -> None:
    assert {operation for operation, _, _ in table()} | FREE == set(world.operations)
    assert {scope for _, scope, _ in table()} == set(SCOPES)


def state(world: World, ids: Mapping[str, str]) -> list[Any]:
    """All that can be read of these objects by those whose they are."""
    asked = {
        SCOPE_THREADS: ("/v1/threads/{thread_id}", "/v1/threads/{thread_id}/messages/{message_id}"),
        SCOPE_CONFIRM: ("/v1/confirmations", "/v1/mandates"),
        SCOPE_CALLS: ("/v1/calls/{call_id}",),
        SCOPE_ASSISTANTS: ("/v1/assistants/{assistant_id}", "/v1/assistants"),
    }
    asked[SCOPE_THREADS] += (
        "/v1/responses/{response_id}",
        "/v1/responses/{response_id}/input_items",
        "/v1/threads/{thread_id}/runs/{run_id}",
        "/v1/threads/{thread_id}/messages",
        "/v1/files/{file_id}",
    )
    told = [world.ask(f"GET {path}", world.token("customer", scope), ids) for scope, paths in asked.items() for path in paths]
    told.append(world.ask("GET /v1/kill-switches", world.token("client", SCOPE_KILL, client="monitor"), ids))
    assert {answered.status_code for answered in told} == {200}
    return [answered.json() for answered in told]


def test_only_the_cells_of_the_table_answer(world: World, ids: dict[str, str]) -> None:
    cells, before, wrong, count = table(), state(world, ids), [], 0
    for operation in sorted(set(world.operations) - FREE):
        for token in (None, "not-a-token", world.token("customer", "nothing"), world.token("agent", "nothing")):
            assert world.ask(operation, token, ids).status_code in (401, 403), operation
        for scope in SCOPES:
            for who in WHO:
                if (operation, scope, who) not in cells:
                    answered = world.ask(operation, world.token(who, scope), ids)
                    count += 1
                    if answered.status_code not in REFUSED or any(id_ in answered.text for id_ in ids.values()):
                        wrong.append((operation, scope, who, answered.status_code))
    assert wrong == []
    assert state(world, ids) == before
    assert count > 800


def test_every_cell_of_the_table_answers(world: World, ids: dict[str, str]) -> None:
    wrong = []
    of_client = world.objects("client")
    for operation, scope, who in sorted(table()):
        is_new = any(part in operation for part in (*ONCE, "/v1/assistants/{", "/v1/files/{", "/v1/uploads/{"))
        its = of_client if who == "client" and "/v1/vector_stores" in operation else ids
        about = world.objects("client" if who == "client" else "customer") if is_new else its
        client = "identity" if scope == SCOPE_ENROL else CLIENT
        answered = world.ask(operation, world.token(who, scope, client=client), about)
        if answered.status_code in REFUSED and not is_the_customer_s_word(operation, who):
            wrong.append((operation, scope, who, answered.status_code, answered.text))
    assert wrong == []


def is_the_customer_s_word(operation: str, who: str) -> bool:
    """What a customer said needs their own token with two scopes: tests/simulation/test_deleted_words.py."""
    said = ("DELETE /v1/threads/{thread_id}", "POST /v1/threads/{thread_id}/messages/{message_id}")
    return operation.startswith(said) and "/runs" not in operation and who in ("customer", "agent")


def test_another_s_is_answered_as_what_was_never_there(world: World, ids: dict[str, str]) -> None:
    """A stranger with every right of their own: nothing of the customer's, not even that it is there."""
    before = state(world, ids)
    made_up = {
        name: re.sub(r"[0-9A-Za-z-]+$", lambda found: secrets.token_hex(32)[: len(found[0])], id_) for name, id_ in ids.items()
    }
    everything = (SCOPE_CALLS, SCOPE_WORDS, SCOPE_THREADS, SCOPE_ASSISTANTS, SCOPE_CONFIRM)
    strangers = [
        world.token("customer", *everything, customer=STRANGER),
        world.token("agent", *everything, customer=STRANGER),
        world.token("customer", *everything, customer=STRANGER, client="another-app"),
        world.token("client", SCOPE_ASSISTANTS, client="another-app"),
    ]
    for operation in sorted(set(world.operations) - FREE):
        if any(path in operation for path in ("/kill-switches", "/passkeys", "/customers/", "/models")):
            continue  # whoever has such a token has it for all customers, and models are nobody's
        for token in strangers:
            answered = world.ask(operation, token, ids)
            assert not any(id_ in answered.text for id_ in ids.values() if id_ != MODEL), operation
            if "{" in operation:
                assert answered.status_code in (403, 404), (operation, answered.text)
                never = world.ask(operation, token, made_up)
                assert (never.status_code, never.json()) == (answered.status_code, answered.json()), operation
    assert state(world, ids) == before


def test_a_client_s_assistant_is_read_by_its_customers_and_changed_by_none(world: World) -> None:
    made = world.objects("client")
    for who, customer in (("customer", CUSTOMER), ("agent", CUSTOMER), ("customer", STRANGER)):
        token = world.token(who, SCOPE_ASSISTANTS, SCOPE_THREADS, customer=customer)
        assert world.ask("GET /v1/assistants/{assistant_id}", token, made).json()["id"] == made[examples.ASSISTANT]
        for verb in ("POST", "DELETE"):
            assert world.ask(f"{verb} /v1/assistants/{{assistant_id}}", token, made).status_code == 403
    elsewhere = world.token("client", SCOPE_ASSISTANTS, client="another-app")
    assert world.ask("GET /v1/assistants/{assistant_id}", elsewhere, made).status_code == 404


def test_an_object_of_one_thread_is_not_found_through_another(world: World, ids: dict[str, str]) -> None:
    """The customer's own second thread, and a stranger's, lead to nothing that is in the first."""
    for customer in (CUSTOMER, STRANGER):
        token = world.token("customer", SCOPE_THREADS, SCOPE_WORDS, customer=customer)
        other = world.served.post("/v1/threads", {}, token=token).json()["id"]
        for operation in sorted(world.operations):
            if "{thread_id}" in operation and operation.count("{") > 1:
                answered = world.ask(operation, token, {**ids, examples.THREAD: other})
                assert answered.status_code == 404, (operation, answered.text)
