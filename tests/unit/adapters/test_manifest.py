"""What is wrong with a manifest is found, with its line; what is good comes out as it was said."""

import itertools
import re
from pathlib import Path

import pytest

from adapters.core import ReferenceKind
from adapters.declared.manifest import read
from adapters.declared.source import MAX_BYTES, MAX_DEPTH, ManifestFinding
from adapters.function import BareAmount, Count, Day, Effect, Flag, Form, Kind, Level, Reference, Text, scheme_of
from adapters.identity import Scheme
from tests.support.declared import manifest_of, takes_pattern
from tests.support.mcp_upstream import tools_manifest_text
from tests.support.upstream import manifest_text

GOOD = manifest_text("foreign")
PAY = "to: {kind: payee, description: The account that is paid., schema: {type: string, minLength: 1, maxLength: 34}}"
VALUE = "value: {kind: amount, currency: EUR, description: How much., schema: {type: number}}"
ID = "id: {kind: object, description: The order., schema: {type: integer, minimum: 1, maximum: 1000000}}"
CODE = 'code: {kind: credential, description: The new passcode., schema: {type: string, minLength: 4, maxLength: 12, pattern: "[0-9]+"}}'
NAME = "name: {kind: document, description: The file., schema: {type: string, minLength: 1, maxLength: 200}}"
CARD = "card: {kind: object, description: Its last four digits., schema: {type: string, minLength: 4, maxLength: 4}}"
RATE = "number, minimum: 0, maximum: 9, decimals: 2"

MISTAKES = [
    ("version: 1", "version: 2", "wrong"),
    ("builtin: true", "builtin: yes", "ambiguous"),
    ("builtin: true", "builtin: open", "open"),
    ("builtin: true\n", "", "missing"),
    ("builtin: true", "builtin: true\nbuiltin: false", "duplicate"),
    ("builtin: true", "builtin: true\nmore: 1", "unknown_field"),
    ("builtin: true", "builtin: &here true", "good"),
    ("  customers: [emma]", '  customers: ["emma", "emma"]', "wrong"),
    ("url: http://127.0.0.1:9", "url: http://bank.example", "unsafe"),
    ("url: http://127.0.0.1:9", "url: https://user:word@bank.example", "unsafe"),
    ("url: http://127.0.0.1:9", "url: https://bank.example/a?b=c", "unsafe"),
    ("url: http://127.0.0.1:9", "url: https://bank.example/../x", "unsafe"),
    ("url: http://127.0.0.1:9", "url: file:///etc/passwd", "unsafe"),
    ("url: http://127.0.0.1:9", 'url: "https://bank.example\\\\@evil.example"', "unsafe"),
    ("credential: bearer", "credential: sesame", "wrong"),
    ("customer_header: X-Customer", "customer_header: Host", "unsafe"),
    ("customer_header: X-Customer", "customer_header: Authorization", "unsafe"),
    ("customer_header: X-Customer", 'customer_header: "X-A: b"', "wrong"),
    ("header: Idempotency-Key, honoured: true", "header: Idempotency-Key", "missing"),
    ("header: Idempotency-Key, honoured: true", "header: x-customer, honoured: true", "wrong"),
    ("connect_ms: 2000", "connect_ms: 0", "wrong"),
    ("connect_ms: 2000", 'connect_ms: "2000"', "wrong"),
    ("    path: /people", "    path: people", "wrong"),
    ("    path: /people", '    path: "/people/{name}"', "wrong"),
    ("fields: {iban", "fields: {iban", "good"),
    ("fields: {identifier: iban, called: called", "fields: {identifier: iban, called: called", "good"),
    ("fields: {id: id, payee: to, amount: value}", "fields: {id: id, amount: value}", "missing"),
    ("  pay:\n", "  get_account_balance:\n", "clash"),
    ("  pay:\n", "  write:\n", "clash"),
    ("  pay:\n", "  9pay:\n", "wrong"),
    ("    summary: Pay somebody at once.\n", "", "missing"),
    ("    title: Make a payment\n", "", "missing"),
    ("    title: Make a payment\n", "    title: make_a_payment\n", "wrong"),
    ("    title: Make a payment\n", "    title: P\n", "wrong"),
    ("    effect: I", "    effect: X", "wrong"),
    ("    effect: I\n", "", "missing"),
    ("    effect: I", "    effect: P", "wrong"),
    ("    level: L3\n    egress: true", "    level: L9\n    egress: true", "wrong"),
    ("    level: L3\n    egress: true", "    level: L0\n    egress: true", "wrong"),
    ("    egress: true", "    egress: maybe", "wrong"),
    ("    egress: true\n", "", "missing"),
    ("method: POST, path: /payments}", "method: GET, path: /payments}", "wrong"),
    ("method: POST, path: /payments}", "method: TRACE, path: /payments}", "wrong"),
    ("method: POST, path: /payments}", "method: POST, path: //evil.example}", "wrong"),
    ("method: POST, path: /payments}", 'method: POST, path: "/a/../b"}', "wrong"),
    ("method: POST, path: /payments}", 'method: POST, path: "/payments/{other}"}', "wrong"),
    ("method: POST, path: /payments}", 'method: POST, path: "/payments?x={to}"}', "wrong"),
    (PAY, PAY.replace("kind: payee, ", ""), "missing"),
    (PAY, PAY.replace("kind: payee", "kind: open"), "open"),
    (PAY, PAY.replace("kind: payee", "open: true, kind: payee"), "open"),
    (PAY, PAY.replace("kind: payee", "kind: money"), "wrong"),
    (PAY, PAY.replace(", maxLength: 34", ""), "missing"),
    (PAY, PAY.replace("maxLength: 34", "maxLength: 99999"), "wrong"),
    (PAY, PAY.replace("type: string", "type: object"), "wrong"),
    (PAY, PAY.replace("type: string", "type: string, additionalProperties: true"), "unknown_field"),
    (PAY, PAY.replace("description: The account that is paid., ", ""), "missing"),
    (PAY, PAY.replace("kind: payee", "kind: payee, as: 'X Y'"), "wrong"),
    (PAY, PAY.replace("kind: payee", "kind: payee, in: header"), "wrong"),
    (PAY, PAY.replace("kind: payee", "kind: payee, as: value"), "clash"),
    (PAY, PAY.replace("to:", "customer:"), "wrong"),
    (VALUE, VALUE.replace("currency: EUR, ", ""), "missing"),
    (VALUE, VALUE.replace("EUR", "XYZ"), "wrong"),
    (VALUE, VALUE.replace("EUR", "XAU"), "wrong"),
    (VALUE, VALUE.replace("currency: EUR", "currency_from: note"), "wrong"),
    (VALUE, VALUE.replace("type: number", "type: integer"), "wrong"),
    (VALUE, VALUE.replace("type: number", "type: number, minimum: 1"), "unknown_field"),
    (VALUE, VALUE.replace("kind: amount, currency: EUR", "kind: none").replace("number", RATE.replace("2", "9")), "wrong"),
    (VALUE, VALUE.replace("kind: amount, currency: EUR", "kind: none").replace("number", RATE.replace(", decimals: 2", "")), "missing"),
    (VALUE, VALUE + "\n      tip: {kind: amount, currency: USD, description: More., schema: {type: number}}", "wrong"),
    (VALUE, VALUE + "\n      on: {kind: day, description: When., schema: {type: string, maxLength: 10}}", "wrong"),
    (VALUE, VALUE + "\n      every: {kind: frequency, description: How often., schema: {type: integer, minimum: 1, maximum: 9}}", "wrong"),
    (VALUE, VALUE + "\n      more: {description: More., schema: {type: boolean}}", "missing"),
    (PAY, PAY.replace("type: string, minLength: 1, maxLength: 34", "type: string, format: iban"), "scheme"),
    (PAY, PAY.replace("maxLength: 34", "maxLength: 34, format: phone"), "scheme"),
    (PAY, PAY.replace("maxLength: 34", "maxLength: 34, format: uuid"), "wrong"),
    ("    scheme: account", "    scheme: uuid", "wrong"),
    ("    currency: EUR\n  own", "    currency: EUR\n    scheme: account\n  own", "unknown_field"),
    ("functions:\n", "  owned: {orders: {path: /orders, fields: {id: id}}}\nfunctions:\n", "clash"),
    ("functions:\n", "  owned: {cards: {path: /cards, fields: {}}}\nfunctions:\n", "missing"),
    ("functions:\n", "  owned: {cards: {path: cards, fields: {id: id}}}\nfunctions:\n", "wrong"),
    ("functions:\n", "  incoming: {path: /in, fields: {id: id, payer: from, amount: value}}\nfunctions:\n", "missing"),
    (ID, ID.replace("kind: object", "kind: object, among: [cards]"), "wrong"),
    (ID, ID.replace("kind: object", "kind: object, among: []"), "wrong"),
    (CARD, CARD.replace("kind: object", "kind: object, among: [own_accounts]"), "scheme"),
    (CARD, CARD.replace("kind: object", "kind: none, among: [orders]"), "unknown_field"),
    ("schema: {type: string, maxLength: 140, default: \"\"}", "schema: {type: string, maxLength: 140, default: 5}", "wrong"),
    ("required: false, description: What for.", "description: What for.", "wrong"),
    ("declined: {402: AM04, 404: AC03}", "declined: {402: AM04, 500: AC03}", "unknown_field"),
    ("declined: {402: AM04, 404: AC03}", "declined: {402: funds}", "wrong"),
    ("declined: {402: AM04, 404: AC03}", "declined: {409: AM04}", "unsafe"),
    ('status: {path: "/payments/{key}"', 'status: {path: "/payments"', "wrong"),
    ("payment: {type: text, label: bank}", "payment: {type: text}", "missing"),
    ("payment: {type: text, label: bank}", "payment: {type: text, label: open}", "open"),
    ("payment: {type: text, label: bank}", "payment: {type: text, label: {by: kind}}", "missing"),
    ("payment: {type: text, label: bank}", "payment: {type: text, label: {by: kind, own: []}}", "wrong"),
    ("payment: {type: text, label: bank}", "payment: {type: text, label: {by: kind, own: [out], else: bank}}", "unknown_field"),
    ("payment: {type: text, label: bank}", "payment: {type: count, label: {by: kind, own: [out]}}", "wrong"),
    ("payment: {type: text, label: bank}", "payment: {type: float, label: bank}", "wrong"),
    ("payment: {type: text, label: bank}", "payment: {type: text, label: bank, app_class: whole, mask: last4}", "wrong"),
    ("payment: {type: text, label: bank}", "payment: {type: count, label: bank, mask: last4}", "wrong"),
    ("value: {type: money, label: bank, currency: EUR}", "value: {type: money, label: bank}", "missing"),
    (ID, ID.replace(", maximum: 1000000", ""), "missing"),
    (ID, ID.replace("kind: object", "kind: profile"), "wrong"),
    ('path: "/orders/{id}"', "path: /orders", "good"),
    (CODE, CODE.replace("[0-9]+", "(?=a)"), "wrong"),
    (CODE, CODE.replace("kind: credential", "kind: credential, in: query"), "unsafe"),
    (NAME, NAME.replace("kind: document", "kind: document, in: body"), "wrong"),
    (NAME, NAME.replace("kind: document", "kind: document, reference: [account]"), "wrong"),
    ("request: {method: GET, path: /files}", "request: {method: POST, path: /files}", "wrong"),
    ("request: {method: GET, path: /files}", "request: {method: POST, path: /files}\n    approved_by: [Ann, ann]", "wrong"),
    ("    gone: [404]", "    gone: [500]", "wrong"),
    ("    gone: [404]", "    gone: [404]\n    resource: name", "wrong"),
    ("    gone: [404]", "    gone: [404]\n    approved_by: [Ann, Ben]", "unknown_field"),
    ("content: {type: text, label: document}", "content: {type: text, label: document, data_class: Secret}", "wrong"),
    ("facts:\n", "facts: &a\n", "good"),
    ("version: 1", "version: *a", "alias"),
    ("version: 1", "version: !!python/object:os.system 1", "tag"),
    ("version: 1", "version: [", "not_yaml"),
    ("Pay somebody at once.", "Pay somebody\u202e at once.", "wrong"),
    ("summary: Pay somebody at once.", "summary: 2026-03-17", "ambiguous"),
]  # fmt: skip


def found(text: str, *, taken: tuple[str, ...] = ("get_account_balance",)) -> list[ManifestFinding]:
    manifest, findings = read(text.encode(), taken=taken, takes_pattern=takes_pattern)
    wrong = [finding for finding in findings if not finding.note]
    assert (manifest is None) == bool(wrong)
    return wrong


@pytest.mark.parametrize(("before", "after", "code"), [mistake for mistake in MISTAKES if mistake[2] != "good"])
def test_each_mistake_is_found_at_its_line(before: str, after: str, code: str) -> None:
    assert GOOD.count(before) >= 1
    text = GOOD.replace(before, after, 1)
    first = next(
        number for number, (one, other) in enumerate(itertools.zip_longest(GOOD.splitlines(), text.splitlines()), 1) if one != other
    )
    near = [match for match in found(text) if match.code == code]
    assert near, found(text)
    lines, line = text.splitlines(), near[0].line
    if code == "missing":  # told at the section that has not got it
        indent = len(lines[line - 1]) - len(lines[line - 1].lstrip())
        assert all(len(item) - len(item.lstrip()) > indent for item in lines[line : first - 1])
    elif code != "not_yaml":
        assert first <= line <= first + after.count("\n") + 1
    assert all(item.message for item in near)


def test_there_are_mistakes_enough_and_all_at_once_are_all_found() -> None:
    assert sum(mistake[2] != "good" for mistake in MISTAKES) >= 40
    text = GOOD.replace("kind: payee, ", "").replace("label: bank", "label: open").replace("effect: W", "effect: X")
    codes = [match.code for match in found(text)]
    assert codes.count("open") >= 4
    assert {"missing", "wrong"} <= set(codes)
    assert [match.line for match in found(text)] == sorted(match.line for match in found(text))


@pytest.mark.parametrize("vocabulary", ["foreign", "money", "opaque"])
def test_a_good_one_has_notes_at_most(vocabulary: str) -> None:
    assert found(manifest_text(vocabulary)) == []


def test_a_reads_other_method_needs_two_people() -> None:
    text = GOOD.replace("method: GET, path: /files}", "method: POST, path: /files}\n    approved_by: [Ann Lee, Ben Ito]")
    (function,) = (item for item in manifest_of(text).functions if item.name == "open_file")
    assert (function.method, function.effect) == ("POST", Effect.READ)


def test_what_changes_a_credential_or_the_profile_is_strong_and_an_effect() -> None:
    at = GOOD.index("  set_passcode:")
    for before, after in (("level: L3", "level: L2"), ("effect: W", "effect: P")):
        text = GOOD[:at] + GOOD[at:].replace(before, after, 1)
        assert [match.code for match in found(text)] == ["wrong"]


def test_what_would_not_be_confirmed_is_noted() -> None:
    at = GOOD.index("  pause_card:")
    text = GOOD[:at] + GOOD[at:].replace("effect: P", "effect: I\n    resource: card")
    reference = "      card: {kind: object, reference: [card], description: Which.}"
    lines = [line if not line.lstrip().startswith("card: {") else reference
             for line in text.splitlines()]  # fmt: skip
    _, findings = read("\n".join(lines).encode(), taken=(), takes_pattern=takes_pattern)
    assert [finding.where for finding in findings if finding.code == "unconfirmed"] == ["functions.pause_card"]


def test_effects_need_a_key_s_header() -> None:
    text = GOOD.replace("  idempotency: {header: Idempotency-Key, honoured: true}\n", "")
    assert {match.code for match in found(text)} == {"missing"}


def test_what_is_not_known_to_grounding_is_noted() -> None:
    text = GOOD[: GOOD.index("facts:")] + GOOD[GOOD.index("functions:") :]
    _, findings = read(text.encode(), taken=(), takes_pattern=takes_pattern)
    assert {finding.code for finding in findings if finding.note} >= {"no_payees", "no_orders"}


def test_an_object_that_no_list_could_hold_is_found_of_reads_as_of_effects() -> None:
    text = manifest_text("opaque")
    without = text[: text.index("facts:")] + text[text.index("functions:") :]
    wrong = {finding.where for finding in found(without)}
    assert wrong == {
        f"functions.{name}.among"
        for name in (
            "account.arguments.account",
            "card.arguments.card",
            "entry.arguments.id",
            "pay_person.arguments.account",
            "block_card.arguments.card",
            "limit_card.arguments.card",
        )
    }
    undecided = re.sub(r"among: \[\w+(?:, \w+)?\], ", "", without)
    manifest, findings = read(undecided.encode(), taken=(), takes_pattern=takes_pattern)
    assert manifest is not None
    noted = {finding.where for finding in findings if finding.code == "no_orders"}
    assert noted == {f"functions.{name}" for name in ("account", "card", "entry", "pay_person", "block_card", "limit_card")}


def test_identifiers_have_a_scheme_only_where_it_is_said() -> None:
    functions = {item.name: item for item in manifest_of(manifest_text("opaque")).functions}
    assert {scheme_of(sent.argument.type) for item in functions.values() for sent in item.sent} == {Scheme.OPAQUE}
    facts = manifest_of(GOOD).facts
    assert facts.own_accounts is not None
    assert (facts.own_accounts.scheme, facts.payee_scheme) == (Scheme.ACCOUNT, Scheme.OPAQUE)
    for form in (Scheme.CARD, Scheme.PHONE, Scheme.EMAIL):
        text = GOOD.replace(CARD, CARD.replace("maxLength: 4}", f"maxLength: 4, format: {form}}}"))
        (card,) = next(item for item in manifest_of(text).functions if item.name == "pause_card").sent
        assert card.argument.type == Text(4, 4, scheme=form)
    (kinds,) = [{it.argument.name: it.argument.kind for it in functions["pay_person"].sent}]
    assert (kinds["on"], kinds["every"], kinds["tip"]) == (Kind.DAY, Kind.FREQUENCY, Kind.AMOUNT)


def test_a_payee_with_a_key_of_its_own_is_compared_by_it() -> None:
    text = GOOD.replace(
        "fields: {identifier: iban, name: called", "scheme: account\n    fields: {identifier: iban, key: id, name: called"
    )
    assert manifest_of(text).facts.payee_scheme is Scheme.OPAQUE


def test_the_types_are_what_was_said() -> None:
    functions = {function.name: function for function in manifest_of(manifest_text("money")).functions}
    update = {item.argument.name: item.argument for item in functions["update_scheduled_transaction"].sent}
    assert update["id"].type == Count(0, 2**53 - 1)
    assert (update["id"].kind, update["id"].required) == (Kind.OBJECT, True)
    assert update["amount"].type == BareAmount(Form.NUMBER, "EUR")
    assert update["recurring"].type == Flag()
    assert update["date"].type == Day()
    assert not update["recurring"].required
    assert functions["send_money"].level is Level.L3
    (n,) = functions["get_most_recent_transactions"].sent
    assert (n.argument.default, n.argument.type) == (20, Count(1, 100))
    (password,) = functions["update_password"].sent
    assert password.argument.type == Text(128, 1)


def test_other_forms_of_amounts_and_references() -> None:
    text = GOOD.replace(VALUE, "value: {kind: amount, currency_from: cur, unit: minor, description: How much., schema: {type: integer}}\n"
                        "      cur: {kind: none, description: Currency., schema: {type: string, enum: [EUR, USD]}}\n"
                        "      from: {kind: object, reference: [account, card], description: From where.}", 1)  # fmt: skip
    pay = next(
        function
        for function in manifest_of(text.replace("    egress: true", "    egress: true\n    resource: from")).functions
        if function.name == "pay"
    )
    types = {item.argument.name: item.argument.type for item in pay.sent}
    assert types["value"] == BareAmount(Form.MINOR, None, "cur")
    assert types["from"] == Reference((ReferenceKind.ACCOUNT, ReferenceKind.CARD))
    assert pay.resource == "from"


def test_the_digest_covers_every_value_and_no_comment() -> None:
    one = manifest_of(GOOD).digest
    assert manifest_of("# another comment\n" + GOOD).digest == one
    for before, after in ((":9", ":10"), ("/payments}", "/pay}"), ("kind: document", "kind: free_text"), ("label: document", "label: own"),
                          ("egress: true", "egress: false"), ("/people", "/persons")):  # fmt: skip
        assert manifest_of(GOOD.replace(before, after)).digest != one


def test_bounds() -> None:
    deep = "a: " + "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2)
    for text in (
        deep,
        "a: 1\n" * MAX_BYTES,
        "",
        "[]",
        "a",
        "{",
        "\t",
        "%YAML 9",
        '"\\U0FFFFFFF"',
        "a: &x [1]\nb: *x",
        "--- 1\n--- 2",
    ):
        assert found(text), text


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\x00", b"a: \xed\xa0\x80"])
def test_what_is_no_text_is_found(content: bytes) -> None:
    manifest, findings = read(content, taken=(), takes_pattern=takes_pattern)
    assert manifest is None
    assert findings[0].code == "not_yaml"


def test_the_examples_of_the_readme_are_served() -> None:
    readme = (Path(__file__).parents[3] / "adapters" / "README.md").read_text()
    over_http, over_tools = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    assert [function.name for function in manifest_of(over_http).functions] == ["send_money", "get_card", "list_orders"]
    assert [pin.name for pin in manifest_of(over_tools).pins] == ["known_people", "make_payment", "payment_state"]


@pytest.mark.parametrize(("before", "after", "code"), [mistake for mistake in MISTAKES if mistake[2] != "good"])
def test_one_mistake_is_one_finding(before: str, after: str, code: str) -> None:
    also = ["unknown_field"] if "reference: [account]" in after else []  # two mistakes: beside a reference there is no schema
    assert [finding.code for finding in found(GOOD.replace(before, after, 1))] == [code, *also]


HONOURED = "idempotency: {meta: com.example/idempotency-key, honoured: true}"
STATUS = "    status: {tool: payment_state, pin: <payment_state>, key_as: key, at: state, done: [settled], never: [never]}\n"


@pytest.mark.parametrize(
    ("before", "after", "where", "code"),
    [
        (HONOURED, "", "functions.pay_by_tool.effect", "missing"),
        ("tool: make_payment, pin: <make_payment>", "tool: make_payment", "functions.pay_by_tool.request.pin", "missing"),
        ("pin: <make_payment>", "pin: open", "functions.pay_by_tool.request.pin", "open"),
        ("pin: <make_payment>", "pin: abc", "functions.pay_by_tool.request.pin", "wrong"),
        ("pin: <make_payment>}", "pin: <make_payment>, path: /x}", "functions.pay_by_tool.request.path", "unknown_field"),
        ("    approved_by: [Ada Example, Bo Example]\n", "", "functions.open_file.approved_by", "missing"),
        ("[Ada Example, Bo Example]", "[Ada Example, ada example]", "functions.open_file.approved_by", "wrong"),
        ("com.example/idempotency-key", "io.modelcontextprotocol/key", "upstream.idempotency.meta", "wrong"),
        ("com.example/idempotency-key", "progressToken", "upstream.idempotency.meta", "wrong"),
        ("declined: {error: AM04}", "declined: {402: AM04}", "functions.pay_by_tool.declined.error", "missing"),
        ("never: [never], declined", "never: [settled], declined", "functions.pay_by_tool.status.done", "clash"),
        ("tool: payment_state, pin: <payment_state>", "tool: payment_state, pin: <make_payment>", "functions", "clash"),
        ("protocol: mcp", "protocol: http", "upstream.idempotency.meta", "unknown_field"),
        ("protocol: mcp", "protocol: ftp", "upstream.protocol", "wrong"),
        ("kind: payee, desc", "in: query, kind: payee, desc", "functions.pay_by_tool.arguments.to.in", "wrong"),
    ],
)  # fmt: skip
def test_a_manifest_over_tools_that_must_not_be_served_says_where(before: str, after: str, where: str, code: str) -> None:
    text = tools_manifest_text(before=before, after=after)
    manifest, findings = read(text.encode(), taken=(), takes_pattern=takes_pattern)
    wrong = [(finding.where, finding.code) for finding in findings if not finding.note]
    assert (manifest is None) == bool(wrong)
    assert (where, code) in wrong, wrong


def test_an_effect_that_nobody_could_ever_ask_about_is_not_served() -> None:
    text = tools_manifest_text(before="honoured: true", after="honoured: false")
    assert read(text.encode(), taken=(), takes_pattern=takes_pattern)[0] is not None
    text = tools_manifest_text(before=STATUS, after="").replace("honoured: true", "honoured: false")
    manifest, findings = read(text.encode(), taken=(), takes_pattern=takes_pattern)
    assert manifest is None
    assert [(item.where, item.code) for item in findings if not item.note] == [("functions.pause_card.effect", "unsafe")]
