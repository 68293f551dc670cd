"""Which functions are served, and what stops a start; the commands that check and draft manifests."""

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.core import Money
from adapters.function import (
    Argument,
    BareAmount,
    Choice,
    Effect,
    EffectFunction,
    Field,
    Flag,
    Form,
    Kind,
    Level,
)
from adapters.functions import MANIFEST
from gateway.app.bundle import read_bundle
from gateway.app.declared import served
from gateway.app.development.customers import limits_of
from gateway.app.development.settings import development
from gateway.app.settings import Settings
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.calls import catalogue
from gateway.calls.arguments import canonical, parse
from gateway.calls.cedar_schema import cedar_arguments, cedar_schema
from gateway.calls.tools import FUNCTIONS, TOOLS
from gateway.cli import main
from gateway.domain.errors import Refusal
from policies.engine import Engine
from policies.reading import read as read_rules
from tests.support.opening import open_gateway
from tests.support.teller import Teller
from tests.support.upstream import CREDENTIAL, manifest_text


def settings(folder: Path, vocabulary: str = "foreign", text: str | None = None, **changes: Any) -> Settings:
    file = folder / "functions.yaml"
    file.write_text(text or manifest_text(vocabulary))
    return replace(development(folder / "data"), functions=file, **changes)


def token(folder: Path, mode: int = 0o600, content: str = CREDENTIAL) -> Path:
    file = folder / "upstream.token"
    file.write_text(content)
    file.chmod(mode)
    return file


def test_declared_functions_stand_beside_the_others_or_alone(tmp_path: Path) -> None:
    both = served(settings(tmp_path, functions_credential_file=token(tmp_path)))
    assert {function.name for function in both.functions} == {item.name for item in MANIFEST} | {
        "pay", "change_order", "open_file", "set_passcode", "pause_card", "code_interpreter", "file_search",
    }  # fmt: skip
    assert both.customers == ("emma",)
    alone = served(settings(tmp_path, "money"))
    assert len(alone.functions) == 11 + len(TOOLS)
    assert not {function.name for function in alone.functions} & {item.name for item in MANIFEST}
    assert served(development(tmp_path)).functions == FUNCTIONS


@pytest.mark.parametrize(
    "flaw", ["open", "no credential", "credential unneeded", "readable by others", "two lines", "alone", "database"]
)
def test_what_must_not_be_served_does_not_start(tmp_path: Path, flaw: str) -> None:
    good: dict[str, Any] = {"functions_credential_file": token(tmp_path)}
    flawed = {
        "open": lambda: settings(tmp_path, text=manifest_text("foreign").replace("kind: payee", "kind: open"), **good),
        "no credential": lambda: settings(tmp_path),
        "credential unneeded": lambda: settings(tmp_path, "money", **good),
        "readable by others": lambda: settings(tmp_path, functions_credential_file=token(tmp_path, 0o644)),
        "two lines": lambda: settings(
            tmp_path, functions_credential_file=token(tmp_path, content=CREDENTIAL + "\nX-Customer: bruno")
        ),
        "alone": lambda: replace(development(tmp_path), **good),
        "database": lambda: settings(tmp_path, database="postgresql://user:word@127.0.0.1/none", **good),
    }
    chosen = flawed[flaw]()
    with pytest.raises(UnsafeSettings) as refused:
        served(chosen)
    assert CREDENTIAL not in str(refused.value)
    if flaw == "open":
        assert "functions.yaml:34: functions.pay.arguments.to.kind is open" in str(refused.value)


@pytest.mark.parametrize("vocabulary", ["foreign", "money"])
def test_the_shipped_rules_decide_over_declared_functions(tmp_path: Path, vocabulary: str) -> None:
    given: dict[str, Any] = {"functions_credential_file": token(tmp_path)} if vocabulary == "foreign" else {}
    functions = served(settings(tmp_path, vocabulary, **given)).functions
    bundle = read_bundle(functions)
    assert read_rules(bundle).findings == ()
    Engine(bundle)
    assert bundle.hash != read_bundle().hash
    assert limits_of(functions)["EUR"].payment_minor == 250_000


def test_limits_are_granted_for_every_currency_of_an_amount() -> None:
    function = _function(
        Argument(name="sum", type=BareAmount(Form.NUMBER, None, "cur"), kind=Kind.AMOUNT, description="."),
        Argument(name="cur", type=Choice(("USD", "KWD")), description="."),
    )
    limits = limits_of([function])
    assert (limits["USD"].payment_minor, limits["KWD"].payment_minor) == (250_000, 2_500_000)
    assert "CHF" not in limits


def _function(*arguments: Argument) -> EffectFunction:
    return EffectFunction(
        name="f", title="F", summary="f", arguments=arguments, output=(Field(name="x", type="flag", description="."),),
        effect=Effect.WRITE, level=Level.L3, order=lambda _: None,  # type: ignore[arg-type,return-value]
    )  # fmt: skip


AMOUNT = Argument(name="sum", type=BareAmount(Form.NUMBER, None, "cur"), kind=Kind.AMOUNT, required=False, description=".")
CURRENCY = Argument(name="cur", type=Choice(("EUR", "JPY")), required=False, description=".")
RECURS = Argument(name="again", type=Flag(), required=False, default=False, description=".")


@pytest.mark.parametrize(
    ("written", "money"),
    [
        ('{"sum": 12.5, "cur": "EUR"}', Money(1250, "EUR")),
        ('{"sum": 12.50, "cur": "EUR"}', Money(1250, "EUR")),
        ('{"cur": "JPY", "sum": 12}', Money(12, "JPY")),
        ('{"sum": 1.2e2, "cur": "EUR"}', Money(12000, "EUR")),
        ('{"sum": 0.1, "cur": "EUR"}', Money(10, "EUR")),
        ('{"sum": 70368744177663.99, "cur": "EUR"}', None),
        ('{"sum": 12.5, "cur": "JPY"}', None),
        ('{"sum": 12.505, "cur": "EUR"}', None),
        ('{"sum": 12.5}', None),
        ('{"sum": "12.5", "cur": "EUR"}', None),
        ('{"sum": true, "cur": "EUR"}', None),
        ('{"sum": -1, "cur": "EUR"}', None),
        ('{"sum": 1e99999999999999999999, "cur": "EUR"}', None),
    ],
)
def test_a_number_is_an_amount_of_the_currency_beside_it(written: str, money: Money | None) -> None:
    function = _function(AMOUNT, CURRENCY, RECURS)
    if money is None:
        with pytest.raises(Refusal) as refused:
            parse(function, written, lambda *_: None)
        assert refused.value.code.value == "invalid_argument"
        return
    arguments = parse(function, written, lambda *_: None)
    assert (arguments["sum"], arguments["again"]) == (money, False)
    assert arguments.amount() == money
    assert canonical(arguments)["sum"] == {"currency": money.currency, "value": money.value}
    assert cedar_arguments(function, arguments) == {
        "sum": {"minor": money.minor, "currency": money.currency}, "cur": money.currency, "again": False,
    }  # fmt: skip


def test_a_flag_is_true_or_false() -> None:
    function = _function(RECURS)
    assert parse(function, '{"again": true}', lambda *_: None)["again"] is True
    for wrong in ("1", "0", '"true"', "null"):
        with pytest.raises(Refusal):
            parse(function, f'{{"again": {wrong}}}', lambda *_: None)


def test_new_types_have_their_schema_their_cedar_type_and_their_words() -> None:
    function = _function(AMOUNT, CURRENCY, RECURS, Argument(name="m", type=BareAmount(Form.MINOR, "EUR"), description="."))
    properties = catalogue.json_schema(function)["properties"]
    assert properties["sum"] == {"type": "number", "exclusiveMinimum": 0, "description": "."}  # type: ignore[index]
    assert properties["again"] == {"type": "boolean", "description": ".", "default": False}  # type: ignore[index]
    assert properties["m"]["type"] == "integer"  # type: ignore[index]
    assert '"sum"?: Money, "cur"?: String, "again": Bool, "m": Money' in cedar_schema([function])
    page = catalogue.reference_page([function])
    assert "number, in the currency of `cur`" in page
    assert "integer of minor units, in EUR" in page


# Commands


def run(*command: str) -> tuple[int, str]:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = main(["functions", *command])
    return status, printed.getvalue()


def test_check_tells_each_finding_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "functions.yaml"
    file.write_text(manifest_text("foreign"))
    status, told = run("check", str(file), "--json")
    assert status == 0
    assert json.loads(told)["served"]
    file.write_text(manifest_text("foreign").replace("kind: payee", "kind: open").replace("  pay:", "  initiate_transfer:"))
    status, told = run("check", str(file), "--json")
    assert status == 1
    assert {(load["line"], load["code"]) for load in json.loads(told)["findings"] if not load["note"]} == {
        (26, "clash"),
        (34, "open"),
    }
    status, told = run("check", str(file))
    assert f"{file}:34: functions.initiate_transfer.arguments.to.kind is open: decide it [open]" in told
    assert run("check", str(tmp_path / "none.yaml"))[0] == 2


def test_what_is_listed_can_include_a_manifest(tmp_path: Path) -> None:
    file = tmp_path / "functions.yaml"
    file.write_text(manifest_text("money"))
    _, told = run("definitions", "mcp", "--functions", str(file))
    assert {load["name"] for load in json.loads(told)} >= {"send_money", "read_file"}
    assert "## send_money" in run("reference", "--functions", str(file))[1]


MADE = {"$ref": "#/components/schemas/Made"}
OPENAPI = {
    "openapi": "3.0.3",
    "info": {"title": "Bank", "version": 1.5},
    "servers": [{"url": "https://bank.example/v1"}],
    "paths": {
        "/accounts/{accountId}/payments": {
            "parameters": [{"name": "accountId", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 20}}],
            "post": {
                "operationId": "createPayment",
                "summary": "Create a payment",
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Payment"}}}},
                "responses": {"201": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Made"}}}}},
            },
            "get": {
                "parameters": [{"name": "from", "in": "query", "schema": {"type": "string", "format": "date"}}],
                "responses": {"200": {"content": {"application/json": {"schema": {"type": "array", "items": MADE}}}}},
            },
        },
        "/odd path": {"get": {"responses": {}}},
    },
    "components": {
        "schemas": {
            "Payment": {
                "required": ["creditorName", "amount"],
                "properties": {"creditorName": {"type": "string", "maxLength": 70}, "amount": {"type": "number"}},
            },
            "Made": {"properties": {"id": {"type": "string"}, "self": MADE, "count": {"type": "integer"}}},
            "Loop": {"$ref": "#/components/schemas/Loop"},
        }
    },
}  # fmt: skip


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_draft_has_what_openapi_says_and_is_open_in_the_rest(tmp_path: Path, form: str) -> None:
    source, draft = tmp_path / f"bank.{form}", tmp_path / "draft.yaml"
    source.write_text(json.dumps(OPENAPI) if form == "json" else yaml.safe_dump(json.loads(json.dumps(OPENAPI))))
    assert run("import-openapi", str(source), "--out", str(draft))[0] == 0
    made = yaml.safe_load(draft.read_text())
    payment = made["functions"]["create_payment"]
    assert payment["request"] == {"method": "POST", "path": "/accounts/{account_id}/payments"}
    assert payment["arguments"]["creditor_name"] == {
        "schema": {"type": "string", "maxLength": 70}, "kind": "open", "description": "open", "as": "creditorName",
    }  # fmt: skip
    assert (payment["effect"], payment["egress"], payment["level"]) == ("open", "open", "open")
    assert payment["output"]["id"] == {"type": "text", "label": "open"}
    listing = made["functions"]["get_accounts_account_id_payments"]
    assert (listing["effect"], listing["answer_is"]) == ("R", "items")
    assert "odd path" in draft.read_text().splitlines()[1]
    status, told = run("check", str(draft), "--json")
    codes = {load["code"] for load in json.loads(told)["findings"] if not load["note"]}
    assert status == 1
    assert codes == {"open"}, told


def test_what_is_no_openapi_is_wrong_use(tmp_path: Path) -> None:
    for text in ("swagger: 2", "[]", "a: [", ""):
        file = tmp_path / "x.yaml"
        file.write_text(text)
        assert run("import-openapi", str(file))[0] == 2


async def test_development_grants_the_manifest_s_customers_what_it_declares_at_each_start(tmp_path: Path) -> None:
    chosen = settings(tmp_path, "money")
    assert chosen.functions is not None
    for name in ("get_balance", "get_my_balance"):
        chosen.functions.write_text(manifest_text("money").replace("  get_balance:", f"  {name}:"))
        gateway = await open_gateway(chosen)
        try:
            asked = await Teller(gateway).ask(name, customer="emma")
            assert asked.status == "unavailable", asked  # permitted: it was asked of an upstream that is not there
        finally:
            await gateway.close()
