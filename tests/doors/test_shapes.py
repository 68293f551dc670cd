"""Each shape, with the `openai` package's own types on both sides; conversations, words, functions and the status of calls."""

import json
from typing import Any

import pytest
from openai import OpenAI
from openai.types.beta.agent_function_call_item import AgentFunctionCallItem
from openai.types.beta.agent_session_input_param import SessionInputParamAgentSessionInputToolResult
from openai.types.beta.threads import RequiredActionFunctionToolCall
from openai.types.beta.threads.run_submit_tool_outputs_params import ToolOutput
from openai.types.chat import ChatCompletionMessageToolCall, ChatCompletionToolMessageParam
from openai.types.responses import ResponseFunctionToolCall
from openai.types.responses.response_input_item_param import FunctionCallOutput
from pydantic import TypeAdapter

from tests.doors.conftest import Served

ARGUMENTS = {"assistants": "{}", "chat": "{}", "responses": "{}", "agents": {}}


def item(shape: str, name: str) -> dict[str, Any]:
    """One call as the types of the client write it."""
    function: dict[str, Any] = {"name": name, "arguments": ARGUMENTS[shape]}
    match shape:
        case "assistants":
            return RequiredActionFunctionToolCall.model_validate(
                {"id": "n1", "type": "function", "function": function}
            ).model_dump()
        case "chat":
            return ChatCompletionMessageToolCall.model_validate({"id": "n1", "type": "function", "function": function}).model_dump()
        case "responses":
            return ResponseFunctionToolCall(
                call_id="n1", type="function_call", status="completed", id="fc_1", **function
            ).model_dump()
    return AgentFunctionCallItem.model_validate(
        {"id": "i1", "type": "function_call", "call_id": "n1", "turn_id": "t", "status": "completed", **function}
    ).model_dump()


OUTPUTS: dict[str, TypeAdapter[Any]] = {
    "assistants": TypeAdapter(ToolOutput),
    "chat": TypeAdapter(ChatCompletionToolMessageParam),
    "responses": TypeAdapter(FunctionCallOutput),
    "agents": TypeAdapter(SessionInputParamAgentSessionInputToolResult),
}
TEXT = {"assistants": "output", "chat": "content", "responses": "output", "agents": "output"}


@pytest.mark.parametrize("name", ["list_cards", "no_such_function"])
@pytest.mark.parametrize("shape", ARGUMENTS)
def test_a_call_and_its_output_have_the_client_s_own_types(served: Served, shape: str, name: str) -> None:
    body = {"shape": shape, "conversation_id": served.conversation(), "turn_id": "t", "calls": [item(shape, name)]}
    answered = served.post("/v1/function-calls", body)
    assert answered.status_code == 200, answered.text
    (output,) = answered.json()["outputs"]
    OUTPUTS[shape].validate_python(output)
    text = output.get(TEXT[shape]) or output["error"]
    assert json.loads(text)["ok"] is (name == "list_cards")
    (result,) = answered.json()["results"]
    assert result["native_id"] == "n1"
    if shape == "agents":
        assert output["success"] is (name == "list_cards")


def test_an_item_that_is_not_of_its_shape_is_refused_by_name(served: Served) -> None:
    body = {"shape": "chat", "conversation_id": served.conversation(), "turn_id": "t", "calls": [item("responses", "list_cards")]}
    error = served.post("/v1/function-calls", body).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_request", "calls[0].type")


def test_the_window_answers_to_the_unmodified_client(served: Served) -> None:
    window = OpenAI(base_url=f"{served.url}/v1", api_key=served.token(), max_retries=0)
    tools = window.get("/functions?shape=responses", cast_to=dict[str, Any])["data"]
    assert {"list_accounts", "initiate_transfer"} <= {tool["name"] for tool in tools}


def test_what_a_model_is_offered_is_what_the_mandate_names(served: Served) -> None:
    nobody = served.token("nobody")
    offered = {tool["name"] for tool in served.get("/v1/functions?shape=mcp", token=nobody).json()["data"]}
    assert offered == {"freeze_card", "get_product_terms", "report_suspected_fraud", "request_human"}
    told = served.call("list_accounts", {}, token=nobody)
    assert (told["status"], told["code"]) == ("denied", "denied")


def test_levels_are_asked_for_and_never_given_by_a_token(served: Served) -> None:
    weak = served.token(strong=False)
    conversation = served.conversation()

    def gbp(token: str | None = None) -> list[str]:
        accounts = served.call("list_accounts", {}, conversation=conversation, token=token)["model"]["result"]["accounts"]
        return [account["account"] for account in accounts if account["currency"] == "GBP" and account["status"] == "open"]

    debit, credit = gbp()[:2]
    own = {"from": debit, "to": credit, "amount": {"value": "1.00", "currency": "GBP"}}
    assert served.call("initiate_transfer", own, conversation=conversation, token=weak)["code"] == "step_up_required"
    payees = served.call("list_beneficiaries", {"account": debit}, conversation=conversation)["model"]["result"]["beneficiaries"]
    out = {**own, "to": payees[0]["beneficiary"]}
    told = served.call("initiate_transfer", out, conversation=conversation)
    assert (told["status"], told["code"]) == ("denied", "denied"), "nobody said so"
    name = next(iter(payees[0]["name"].values())) if isinstance(payees[0]["name"], dict) else payees[0]["name"]
    served.say(f"pay {name} 1.00", conversation=conversation)
    waiting = set()
    for token in (weak, None):
        told = served.call("initiate_transfer", out, conversation=conversation, token=token)
        assert (told["status"], told["code"]) == ("held", "confirmation_required")
        waiting.add(told["confirmation_id"])
    payments = served.call("list_scheduled_payments", {"account": debit}, conversation=conversation)["model"]["result"]
    scheduled = payments["scheduled_payments"][0]["payment"]
    served.say("and cancel the payment that is scheduled next", conversation=conversation)
    told = served.call("cancel_scheduled_payment", {"payment": scheduled}, conversation=conversation, native_id="c2")
    assert (told["status"], told["code"]) == ("held", "confirmation_required")
    served.decline(*waiting, told["confirmation_id"])


def test_what_is_masked_for_the_model_is_whole_for_the_app_in_the_direct_answer_alone(served: Served) -> None:
    conversation = served.conversation()
    accounts = served.call("list_accounts", {}, conversation=conversation)
    assert accounts["app"] is None
    account = next(it["account"] for it in accounts["model"]["result"]["accounts"] if it["status"] == "open")
    told = served.call("get_account_identifiers", {"account": account}, conversation=conversation)
    whole, shown = told["app"], told["model"]["result"]
    assert set(whole) == set(shown) == {"iban", "sort_code", "number"}
    assert shown["iban"] == f"****{whole['iban'][-4:]}"
    assert not any(value in str(told["model"]) for value in whole.values())
    status = served.get(f"/v1/calls/{told['call_id']}").json()
    assert "app" not in status
    assert whole["number"] not in str(status)


def test_terms_are_public_and_fraud_is_reported_in_words_alone(served: Served) -> None:
    nobody = served.token("nobody", strong=False)
    terms = served.call("get_product_terms", {"product": "current"}, token=nobody)
    assert terms["status"] == "done"
    assert terms["model"]["result"]["terms"]
    assert served.call("get_product_terms", {"product": "gold"}, token=nobody)["code"] == "invalid_argument"
    assert served.call("report_suspected_fraud", {"text": "I did not pay this"}, token=nobody)["status"] == "done"


def test_the_emergency_door_needs_no_mandate(served: Served) -> None:
    told = served.call("request_human", {"topic": "I am being robbed"}, token=served.token("nobody", strong=False))
    assert told["status"] == "done"


def test_the_customer_s_words_come_with_the_customer_s_own_token(served: Served) -> None:
    conversation = served.conversation()
    path = f"/v1/conversations/{conversation}/messages"
    words = {"messages": [{"text": "Pay Margaret 20 pounds"}, {"text": "GB29 NWBK", "origin": "pasted"}]}
    assert served.post(path, words).status_code == 403, "an agent's token has no words"
    own = served.token(words=True)
    assert served.post(path, words, token=own).json() == {"count": 2}
    assert served.post(path, words, token=own).json() == {"count": 4}
    assert served.post(path, words, token=served.token("bruno", words=True)).status_code == 404
    assert served.post("/v1/conversations", {}, token=own).status_code == 403, "and words are no calls"
    assert served.post(path, {"messages": [{"text": "x", "origin": "guessed"}]}, token=own).status_code == 400
    assert served.post(path, {"messages": []}, token=own).status_code == 400


def test_the_status_of_a_call_is_its_customer_s_alone(served: Served) -> None:
    conversation = served.conversation()
    accounts = served.call("list_accounts", {}, conversation=conversation)
    found = [
        account["account"]
        for account in accounts["model"]["result"]["accounts"]
        if account["currency"] == "GBP" and account["status"] == "open"
    ]
    wanted = {"from": found[0], "to": found[1], "amount": {"value": "7.77", "currency": "GBP"}}
    served.say("move 7.77 to my savings", conversation=conversation)  # others read untrusted text for this customer today
    paid = served.call("initiate_transfer", wanted, conversation=conversation)
    assert paid["status"] == "done"
    later = served.get(f"/v1/calls/{paid['call_id']}").json()
    assert (later["status"], later["proof"]) == ("done", paid["proof"])
    assert json.loads(later["output"]) == paid["model"]
    read = served.get(f"/v1/calls/{accounts['call_id']}").json()
    assert (read["status"], read["output"]) == ("done", None)
    theirs = served.get(f"/v1/calls/{paid['call_id']}", token=served.token("bruno"))
    never = served.get("/v1/calls/call_" + "0" * 28, token=served.token("bruno"))
    assert (theirs.status_code, theirs.content) == (never.status_code, never.content) == (404, never.content)
    assert served.get(f"/v1/calls/{paid['call_id']}?wait_s=31").status_code == 400


def test_every_shape_of_the_contract_but_mcp_is_served(served: Served) -> None:
    document = served.http.get("/openapi.json").json()
    shapes = document["components"]["schemas"]["FunctionCalls"]["properties"]["shape"]["enum"]
    assert sorted(shapes) == sorted(ARGUMENTS)
