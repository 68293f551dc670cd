"""The examples: one for each operation, right by the published schemas, and true: a real server takes them and answers in their shape."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from openai.types import FileObject, Upload
from openai.types.beta import Assistant, Thread
from openai.types.beta.threads import Message, Run
from openai.types.beta.threads.runs import RunStep
from openai.types.uploads import UploadPart
from pydantic import BaseModel

from gateway.cli import main
from gateway.domain.errors import Code, Fault
from gateway.domain.principal import (
    SCOPE_ASSISTANTS,
    SCOPE_CONFIRM,
    SCOPE_ENROL,
    SCOPE_KILL,
    SCOPE_MANDATES,
    SCOPE_THREADS,
    SCOPE_WORDS,
)
from gateway.domain.reasons import RefusalReason
from gateway.doors import examples
from gateway.doors.examples import EXAMPLES, error_example
from gateway.doors.vector_examples import BATCH, VECTOR_STORE
from gateway.doors.wire import STATUS
from tests.doors.conftest import Served
from tests.support import databases


@pytest.fixture(scope="module")
def document(served: Served) -> Any:
    return served.http.get("/openapi.json").json()


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def content_of(item: Any) -> Any:
    """The one kind of content that a body or an answer has."""
    (found,) = item["content"].values()
    return found


def test_every_operation_is_described(document: Any) -> None:
    seen = []
    for path, method, operation in operations(document):
        seen.append(operation["operationId"])
        assert operation["operationId"].replace("_", "").isalpha(), path
        assert 8 <= len(operation["summary"]) < 70, (path, operation["summary"])
        assert operation["tags"] == [tag["name"] for tag in document["tags"] if tag["name"] == operation["tags"][0]], path
        if method == "post" and not path.endswith("/cancel"):
            assert "example" in content_of(operation["requestBody"]), path
        for status, response in operation["responses"].items():
            assert "x-request-id" in response["headers"], (path, status)
            assert content_of(response)["example"] is not None, (path, status)
            if status in ("401", "403"):
                assert "WWW-Authenticate" in response["headers"]
    assert sorted(seen) == sorted(EXAMPLES), "each operation has an example, and each example its operation"
    assert len(set(seen)) == len(seen)
    known = document["components"]["schemas"]
    for enum in (RefusalReason, Code, Fault):
        for member in enum:
            assert f"`{member.value}`" in known[enum.__name__]["description"]
    assert all(reason.meaning in known["RefusalReason"]["description"] for reason in RefusalReason)


def test_every_example_is_right_by_its_schema(document: Any) -> None:
    count = 0
    for path, _, operation in operations(document):
        bodies = [operation.get("requestBody"), *operation["responses"].values()]
        for body in (content_of(item) for item in bodies if item is not None):
            schema = {**body["schema"], "components": document["components"]}
            errors = list(jsonschema_rs.Draft202012Validator(schema).iter_errors(body["example"]))
            assert errors == [], (path, [error.message for error in errors])
            count += 1
    assert count > 250


def test_the_objects_are_those_of_the_openai_package() -> None:
    models: dict[str, type[BaseModel]] = {
        "get_assistant": Assistant,
        "get_thread": Thread,
        "get_message": Message,
        "get_run": Run,
        "get_run_step": RunStep,
        "get_file": FileObject,
        "complete_upload": Upload,
        "add_upload_part": UploadPart,
    }
    for name, model in models.items():
        model.model_validate(EXAMPLES[name].answer, strict=False)


def test_the_errors_have_the_status_of_their_code() -> None:
    for status in (400, 401, 403, 404, 409, 413, 422, 429, 501, 503):
        error: Any = error_example(status)["error"]
        assert STATUS[Fault(error["code"])] == status


def like(answer: Any, example: Any) -> bool:
    """Whether an answer has the example's keys, at every depth. What is null or empty in the example may hold anything."""
    if isinstance(answer, dict) and isinstance(example, dict):
        return not example or (answer.keys() == example.keys() and all(like(answer[name], example[name]) for name in answer))
    if isinstance(answer, list) and isinstance(example, list):
        return not answer or not example or like(answer[0], example[0])
    return not isinstance(answer, dict | list) or example is None or isinstance(example, type(answer))


def test_the_examples_are_taken_by_a_real_server(served: Served) -> None:
    ids: dict[str, str] = {}
    sent: set[str] = set()

    def send(name: str, method: str, path: str, token: str, *, keep: str = "", key: str = "id", form: str | None = None) -> Any:
        body = json.dumps(EXAMPLES[name].request)
        for ours, theirs in ids.items():
            body, path = body.replace(ours, theirs), path.replace(ours, theirs)
        headers = {"authorization": f"Bearer {token}"}
        if form is not None:
            fields = json.loads(body)
            files = {form: ("terms.pdf", fields.pop(form).encode())}
            answered = served.http.request(method, path, data=fields, files=files, headers=headers)
        else:
            answered = served.http.request(method, path, content=None if body == "null" else body, headers=headers)
        assert answered.status_code == 200, (name, answered.text)
        assert like(answered.json(), EXAMPLES[name].answer), (name, answered.json(), EXAMPLES[name].answer)
        if keep:
            ids[keep] = str(answered.json()[key])
        sent.add(name)
        return answered.json()

    customer = "david"  # nobody else's tests are his
    agent = served.token(customer)
    own = served.token(customer, agent=None, scope=f"{SCOPE_THREADS} {SCOPE_WORDS}")
    confirming = served.token(customer, agent=None, scope=SCOPE_CONFIRM)
    service = served.token("dev-app", agent=None, scope=SCOPE_ASSISTANTS)
    identity = served.token("identity", agent=None, client="identity", scope=SCOPE_ENROL)
    officer = served.token("officer-a", agent=None, client="officer-a", scope=SCOPE_KILL)

    for name, path in (("get_liveness", "/livez"), ("get_version", "/version")):
        send(name, "GET", path, agent)
    send("create_conversation", "POST", "/v1/conversations", agent, keep=examples.CONVERSATION)
    send("add_customer_messages", "POST", f"/v1/conversations/{examples.CONVERSATION}/messages", own)
    send("execute_function_calls", "POST", "/v1/function-calls", agent)
    send("list_functions", "GET", "/v1/functions?shape=responses", agent)
    called = served.call("drop_tables", {}, conversation=ids[examples.CONVERSATION], token=agent)
    ids[examples.CALL] = called["call_id"]
    send("get_call", "GET", f"/v1/calls/{examples.CALL}", agent)

    send("create_assistant", "POST", "/v1/assistants", service, keep=examples.ASSISTANT)
    for name, method in (("get_assistant", "GET"), ("update_assistant", "POST")):
        send(name, method, f"/v1/assistants/{examples.ASSISTANT}", service)
    send("list_assistants", "GET", "/v1/assistants", service)
    send("create_thread", "POST", "/v1/threads", own, keep=examples.THREAD)
    threads = f"/v1/threads/{examples.THREAD}"
    for name, method in (("get_thread", "GET"), ("update_thread", "POST")):
        send(name, method, threads, own)
    send("create_message", "POST", f"{threads}/messages", own, keep=examples.MESSAGE)
    send("list_messages", "GET", f"{threads}/messages", own)
    for name, method in (("get_message", "GET"), ("update_message", "POST"), ("delete_message", "DELETE")):
        send(name, method, f"{threads}/messages/{examples.MESSAGE}", own)
    send("create_run", "POST", f"{threads}/runs", own, keep=examples.RUN)
    send("list_runs", "GET", f"{threads}/runs", own)
    for name, method in (("get_run", "GET"), ("update_run", "POST")):
        send(name, method, f"{threads}/runs/{examples.RUN}", own)
    send("list_run_steps", "GET", f"{threads}/runs/{examples.RUN}/steps", own)
    send("create_thread_and_run", "POST", "/v1/threads/runs", own)
    send("delete_thread", "DELETE", threads, own)
    send("delete_assistant", "DELETE", f"/v1/assistants/{examples.ASSISTANT}", service)

    send("create_file", "POST", "/v1/files", own, keep=examples.FILE, form="file")
    send("list_files", "GET", "/v1/files", own)
    send("get_file", "GET", f"/v1/files/{examples.FILE}", own)
    content = served.get(f"/v1/files/{ids[examples.FILE]}/content", token=own)
    assert content.text == EXAMPLES["get_file_content"].answer
    stores = f"/v1/vector_stores/{VECTOR_STORE}"
    send("create_vector_store", "POST", "/v1/vector_stores", own, keep=VECTOR_STORE)
    send("list_vector_stores", "GET", "/v1/vector_stores", own)
    for name, method in (("get_vector_store", "GET"), ("update_vector_store", "POST")):
        send(name, method, stores, own)
    send("search_vector_store", "POST", f"{stores}/search", own)
    send("create_vector_store_file", "POST", f"{stores}/files", own)
    send("list_vector_store_files", "GET", f"{stores}/files", own)
    for name, method in (("get_vector_store_file", "GET"), ("update_vector_store_file", "POST")):
        send(name, method, f"{stores}/files/{examples.FILE}", own)
    send("create_file_batch", "POST", f"{stores}/file_batches", own, keep=BATCH)
    send("get_file_batch", "GET", f"{stores}/file_batches/{BATCH}", own)
    send("list_file_batch_files", "GET", f"{stores}/file_batches/{BATCH}/files", own)
    send("cancel_file_batch", "POST", f"{stores}/file_batches/{BATCH}/cancel", own)
    send("delete_vector_store_file", "DELETE", f"{stores}/files/{examples.FILE}", own)
    send("delete_vector_store", "DELETE", stores, own)
    send("delete_file", "DELETE", f"/v1/files/{examples.FILE}", own)
    send("create_upload", "POST", "/v1/uploads", own, keep=examples.UPLOAD)
    uploads = f"/v1/uploads/{examples.UPLOAD}"
    send("add_upload_part", "POST", f"{uploads}/parts", own, keep=examples.PART, form="data")
    send("complete_upload", "POST", f"{uploads}/complete", own)
    send("create_upload", "POST", "/v1/uploads", own, keep=examples.UPLOAD)
    send("cancel_upload", "POST", f"{uploads}/cancel", own)
    sent.add("get_file_content")

    send("enrol_passkey", "POST", "/v1/passkeys", identity)
    send("revoke_passkey", "DELETE", f"/v1/passkeys/{examples.CREDENTIAL}", identity)
    send("propose_mandate", "POST", "/v1/mandates", confirming, keep=examples.CONFIRMATION, key="confirmation_id")
    send("list_mandates", "GET", "/v1/mandates", confirming)
    send("list_confirmations", "GET", "/v1/confirmations", confirming)
    send("answer_confirmation", "POST", f"/v1/confirmations/{examples.CONFIRMATION}", confirming)
    for name, path in (("list_activity", "/v1/activity"), ("list_trail_accesses", "/v1/activity/looks")):
        answered = served.get(path, token=confirming).json()
        assert answered.keys() == EXAMPLES[name].answer.keys()
        sent.add(name)

    granting = served.token("bank-system", agent=None, client="bank-system", scope=SCOPE_MANDATES)
    for name, method in (("put_customer_mandate", "PUT"), ("get_customer_mandate", "GET"), ("end_customer_mandate", "DELETE")):
        send(name, method, "/v1/customers/dora/mandate", granting)
    for name, path in (("list_models", "/v1/models"), ("get_model", "/v1/models/a-model")):
        send(name, "GET", path, served.token("bruno", agent=None, scope=SCOPE_THREADS))
    send("engage_kill_switch", "POST", "/v1/kill-switches", officer, keep=examples.KILL_SWITCH)
    send("list_kill_switches", "GET", "/v1/kill-switches", officer)
    (engaged,) = served.get("/v1/kill-switches", token=officer).json()["data"]
    for name in ("ada", "ben"):
        lifted = [
            "kill",
            "lift",
            engaged["id"],
            "--officer-key",
            str(served.data / "dev" / "officers" / f"{name}.key"),
            "--reason",
            "over",
            "--data",
            str(served.data),
        ]
        assert main([*lifted, "--database", databases.url(served.data)]) == 0, "as the guide says"
    elsewhere = {"get_confirmation", "revoke_mandate", "cancel_run", "submit_tool_outputs", "get_run_step", "get_readiness"}
    elsewhere.add("create_chat_completion")  # with a model that answers: tests/conformance/test_openai_chat.py
    elsewhere |= {"create_response", "get_response", "delete_response", "cancel_response", "list_input_items"}
    elsewhere |= {"get_conversation", "list_conversation_items"}
    elsewhere.add("get_vector_store_file_content")  # once it is indexed: tests/conformance/test_openai_vectors.py
    assert sent | elsewhere == set(EXAMPLES), "these need what no example makes: a held call, a mandate in force, a run that waits"
