"""What is made of declarations is what the other side takes: openai's types, JSON Schema, Cedar; and nothing is stale."""

import re
from dataclasses import replace
from datetime import date
from typing import Any

import jsonschema_rs
import pytest
from openai.types.beta import FunctionToolParam as AssistantsTool
from openai.types.beta.agent_tool_param import AgentToolConfigParamFunction
from openai.types.beta.persisted_agent_tool_param import PersistedAgentToolConfigParamFunction
from openai.types.chat import ChatCompletionFunctionToolParam
from openai.types.responses import FunctionToolParam as ResponsesTool
from pydantic import TypeAdapter

from adapters.core import Identified, Money, ReferenceKind
from adapters.function import AccountIdentifier, Amount, Argument, Arguments, Choice, Count, Day, Kind, ReferenceList, Text, Value
from gateway.calls import catalogue, tools
from policies.bundle import FunctionEntry
from policies.cedar import Schema
from policies.model import JSON
from tests.samples import bank, functions

FUNCTIONS = functions.FUNCTIONS
BY_NAME = {function.name: function for function in FUNCTIONS}

TYPES: list[tuple[str, Any]] = [
    ("assistants", AssistantsTool),
    ("chat", ChatCompletionFunctionToolParam),
    ("responses", ResponsesTool),
    ("agents", AgentToolConfigParamFunction),
    ("agents", PersistedAgentToolConfigParamFunction),
]


@pytest.mark.parametrize(("shape", "type_"), TYPES)
def test_definitions_are_what_the_openai_package_sends(shape: str, type_: Any) -> None:
    """Unknown members would be dropped, so that what comes back would be less."""
    adapter = TypeAdapter(type_)
    for definition in catalogue.definitions(FUNCTIONS, shape):
        assert adapter.validate_python(definition, strict=True) == definition


def test_the_check_of_types_notices_a_wrong_definition() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(ResponsesTool)
    (definition, *_) = catalogue.definitions(FUNCTIONS, "responses")
    unknown = {**definition, "kind": "x"}
    assert adapter.validate_python(unknown, strict=True) != unknown
    for wrong in ({**definition, "strict": "no"}, {"name": "x"}):
        with pytest.raises(ValueError, match="validation error"):
            adapter.validate_python(wrong, strict=True)


def test_mcp_definitions_have_the_members_of_the_protocol() -> None:
    for definition in catalogue.definitions(FUNCTIONS, "mcp"):
        assert set(definition) == {"name", "description", "inputSchema", "annotations"}
        assert definition["annotations"] == {
            "readOnlyHint": BY_NAME[str(definition["name"])].effect.value == "R",
            "destructiveHint": BY_NAME[str(definition["name"])].effect.value == "I",
            "openWorldHint": BY_NAME[str(definition["name"])].egress,
        }


def test_definitions_are_sorted_and_a_shape_that_is_none_is_refused() -> None:
    names = [definition["name"] for definition in catalogue.definitions(FUNCTIONS[::-1], "responses")]
    assert names == sorted(BY_NAME)
    with pytest.raises(ValueError, match="soap"):
        catalogue.definitions(FUNCTIONS, "soap")


def test_every_schema_is_a_json_schema_and_closed() -> None:
    for function in FUNCTIONS:
        schema = catalogue.json_schema(function)
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        assert schema["additionalProperties"] is False
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", function.name)


EVERY = functions.read(
    "every_type",
    Argument(name="account", type=functions.ACCOUNT, description="One."),
    Argument(
        name="to",
        type=functions.Reference((ReferenceKind.ACCOUNT, ReferenceKind.BENEFICIARY)),
        kind=Kind.PAYEE,
        description="A | B.",
    ),
    Argument(name="accounts", type=ReferenceList((ReferenceKind.ACCOUNT,), most=2), description="Some."),
    Argument(name="things", type=ReferenceList((ReferenceKind.CARD, ReferenceKind.PAYMENT)), required=False, description="Either."),
    Argument(name="amount", type=Amount(), kind=Kind.AMOUNT, description="How much."),
    Argument(name="day", type=Day(), required=False, description="When."),
    Argument(name="text", type=Text(18, least=1, alphabet="A-Za-z0-9 /?:().,+-"), description="Words."),
    Argument(name="month", type=Text(7, pattern="[0-9]{4}-[0-9]{2}"), required=False, description="Which."),
    Argument(name="payee", type=AccountIdentifier(), kind=Kind.PAYEE, required=False, description="Whose."),
    Argument(name="way", type=Choice(("in", "out")), required=False, default="in", description="Which way."),
    Argument(name="limit", type=Count(1, 100), required=False, default=50, description="How many."),
    resource="account",
)

CALL: dict[str, Any] = {
    "account": "acc_abc",
    "to": "ben_x-Y_9",
    "accounts": ["acc_a"],
    "amount": {"value": "12.50", "currency": "GBP"},
    "text": "milk",
}


def accepts(**changes: Any) -> bool:
    call = {name: value for name, value in {**CALL, **changes}.items() if value is not ...}
    return jsonschema_rs.Draft202012Validator(catalogue.json_schema(EVERY), validate_formats=True).is_valid(call)


def test_the_json_schema_takes_what_is_declared() -> None:
    assert accepts()
    assert accepts(to="acc_b", day="2026-02-28", way="out", limit=100, things=["card_a"])
    assert accepts(month="2026-02", payee="GB29NWBK60161331926819")
    assert accepts(payee="60161331926819")


@pytest.mark.parametrize(
    "changes",
    [
        {"account": ...},
        {"account": "ben_x"},
        {"account": "acc_"},
        {"account": "acc_a\n"},
        {"account": None},
        {"to": "txn_x"},
        {"accounts": []},
        {"accounts": ["acc_a", "acc_b", "acc_c"]},
        {"accounts": ["acc_a", "acc_a"]},
        {"amount": "12.50"},
        {"amount": {"value": 12.5, "currency": "GBP"}},
        {"amount": {"value": "012.50", "currency": "GBP"}},
        {"amount": {"value": "-1", "currency": "GBP"}},
        {"amount": {"value": "1", "currency": "gbp"}},
        {"amount": {"value": "1", "currency": "GBP", "fee": "0"}},
        {"day": "28/02/2026"},
        {"day": "2026-02-30"},
        {"day": None},
        {"text": ""},
        {"text": "x" * 19},
        {"text": "a\u202eb"},
        {"month": "2026-02-01"},
        {"month": "2026-2"},
        {"payee": "60-16-13 31926819"},
        {"payee": "6016133192681"},
        {"payee": "GB29 NWBK 6016 1331 9268 19"},
        {"way": "sideways"},
        {"limit": 0},
        {"limit": 101},
        {"limit": "50"},
        {"limit": 1.5},
        {"extra": 1},
    ],
)
def test_the_json_schema_refuses_what_is_not(changes: dict[str, Any]) -> None:
    assert not accepts(**changes)


def test_every_type_has_its_cedar_type() -> None:
    schema = catalogue.cedar_schema([EVERY])
    Schema(schema)
    members = re.search(r'action "every_type".*?args: \{ (.*?) \}\n  \}', schema, re.DOTALL)
    assert members is not None
    assert members[1] == (
        '"account": Account, "to": { Account?: Account, Beneficiary?: Beneficiary }, "accounts": Set<Account>, '
        '"things"?: { Card?: Set<Card>, Payment?: Set<Payment> }, "amount": Money, "day"?: datetime, "text": String, '
        '"month"?: String, "payee"?: String, "way": String, "limit": Long'
    )


def test_arguments_have_the_types_of_the_schema() -> None:
    """As Cedar itself judges them: a wrong type would be an error, and an error denies."""
    values: dict[str, Value] = {
        "account": Identified(ReferenceKind.ACCOUNT, "current"),
        "to": Identified(ReferenceKind.BENEFICIARY, "dairy"),
        "accounts": (Identified(ReferenceKind.ACCOUNT, "current"),),
        "things": (Identified(ReferenceKind.CARD, "c"), Identified(ReferenceKind.CARD, "d")),
        "amount": Money(1250, "GBP"),
        "day": date(2026, 6, 1),
        "text": "milk",
        "way": "in",
        "limit": 50,
    }
    args = catalogue.cedar_arguments(EVERY, Arguments(values))
    assert args["to"] == {"Beneficiary": bank.entity("Beneficiary::dairy")}
    assert args["things"] == {"Card": [bank.entity("Card::c"), bank.entity("Card::d")]}
    from policies.engine import Engine
    from policies.model import Reason

    engine = Engine(bank.bundle(functions=[EVERY, *FUNCTIONS]))
    facts: JSON = {"name": "every_type", "effect": "R", "level": 1, "emergency": False, "egress": False}
    things = (bank.thing("Beneficiary", "dairy"), bank.thing("Card", "c"), bank.thing("Card", "d"))
    granted = bank.customer(mandate={"functions": ["every_type"]})
    request = replace(
        bank.balance(entities=(granted, bank.account("current"), *things)),
        action="every_type",
        context={**bank.context("list_cards"), "function": facts, "args": args},
    )
    assert engine.decide(request).reason is Reason.MANDATED
    wrong = replace(request, context={**request.context, "args": {**args, "limit": "50"}})
    assert engine.decide(wrong).reason is Reason.ERROR


def test_the_schema_of_the_policies_is_not_stale() -> None:
    assert (bank.POLICIES / "bank.cedarschema").read_text() == catalogue.cedar_schema(tools.FUNCTIONS)
    assert catalogue.main([]) == 0
    assert catalogue.main(["--nonsense"]) == 2


def test_the_manifest_says_what_was_declared() -> None:
    manifest = catalogue.manifest(FUNCTIONS)
    assert [entry.name for entry in manifest] == sorted(BY_NAME)
    (entry,) = catalogue.manifest([EVERY])
    assert entry == FunctionEntry(
        name="every_type",
        version=1,
        effect="R",
        level=1,
        emergency=False,
        egress=False,
        resource="account",
        data_classes=("basic",),
        schema_hash=catalogue.schema_hash(EVERY),
    )


def test_the_hash_covers_what_a_model_is_told_and_may_be_answered() -> None:
    changed = [
        replace(EVERY, summary="Another."),
        replace(EVERY, title="Another"),
        replace(EVERY, name="other"),
        replace(EVERY, arguments=EVERY.arguments[1:], resource=None),
        replace(EVERY, output=(replace(EVERY.output[0], data_class="balances"),)),
        replace(EVERY, output=(replace(EVERY.output[0], description="x"),)),
    ]
    assert len({catalogue.schema_hash(function) for function in [EVERY, *changed]}) == len(changed) + 1
    assert catalogue.schema_hash(EVERY) == catalogue.schema_hash(replace(EVERY))


def test_the_reference_page_has_every_function_argument_and_field() -> None:
    page = catalogue.reference_page([*FUNCTIONS, EVERY])
    for function in [*FUNCTIONS, EVERY]:
        assert f"## {function.name}\n" in page
        for argument in function.arguments:
            assert f"| `{argument.name}` |" in page
        for field in function.output:
            assert f"| `{field.name}` |" in page
    assert "A \\| B." in page
