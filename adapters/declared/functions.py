"""One function of a manifest: its request, its arguments, its answer, and the rules that hold it. Pure."""

import re
from collections.abc import Mapping, Sequence

from adapters.core import ReferenceKind, exponent
from adapters.declared.declarations import (
    ArgumentPlace,
    Declared,
    DeclaredField,
    FactQuestions,
    Sent,
    StatusQuestion,
    ToolPin,
    UpstreamAddress,
)
from adapters.declared.fields import read_answer
from adapters.declared.paths import PATH_MUST, is_path, names_in
from adapters.declared.requests import TOOL
from adapters.declared.schema import NAME, NAME_MUST, Check, read_argument
from adapters.declared.section import Section
from adapters.declared.tools import ERROR, read_declined, read_status, read_tool
from adapters.function import (
    KEPT_EFFECTS,
    KEPT_READS,
    AccountIdentifier,
    Argument,
    BareAmount,
    Choice,
    Count,
    Day,
    Effect,
    Flag,
    Kind,
    Level,
    Number,
    Reference,
    Text,
    lists_of,
    scheme_of,
)

# What each letter stands for, and what each level asks for, in a few words; each level includes those before it.
_EFFECTS = {
    Effect.READ.value: "reads",
    Effect.WRITE.value: "changes something that can be changed back",
    Effect.PROTECT.value: "protects the customer, such as freezing a card",
    Effect.IRREVERSIBLE.value: "cannot be undone once done, such as a payment",
}
_LEVELS = {
    Level.L0.name: "anybody",
    Level.L1.name: "a signed-in customer",
    Level.L2.name: "a two-factor sign-in a few minutes ago",
    Level.L3.name: "the customer confirms this very call",
    Level.L4.name: "and a second person approves it",
}

NAMES_OF_THE_POLICIES = frozenset({"call", "read", "write", "protect", "irreversible", "touch", "reveal"})
"""Actions of the policies that are groups, or are asked of every function."""

ARGUMENTS_MOST = 32
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH", TOOL})
_REASON = re.compile(r"[A-Z]{2}[A-Z0-9]{2}", re.ASCII)
_RETENTION = re.compile(r"P[1-9][0-9]{0,2}[YMD]", re.ASCII)
_TITLE = re.compile(r"[^\W\d_][^\n_]{1,58}[^\s_]")
_NAME_OF_SOMEONE = re.compile(r"\S[^\n]{0,127}")
_STATUS = re.compile(r"[1-5][0-9]{2}", re.ASCII)
_ANY_PATH = re.compile(r".{1,2000}", re.DOTALL)


def read_function(name: str, given: Section, *, upstream: UpstreamAddress, facts: FactQuestions, takes_pattern: Check) -> Declared:
    """The function; whatever is wrong with it is found."""
    title = given.text("title", _TITLE, "must say in 3 to 60 characters what it is to the customer, such as Make a payment")
    summary = given.text("summary")
    effect = Effect(given.one_of("effect", [str(item) for item in Effect], meaning=_EFFECTS))
    level = Level[given.one_of("level", [item.name for item in Level], meaning=_LEVELS)]
    egress = given.flag("egress")
    method, path, approved, tool = _called(given, effect) if upstream.is_mcp else (*_request(given, effect), None)
    sent = _arguments(given, method, path, takes_pattern)
    resource = given.maybe("resource", NAME, NAME_MUST)
    _check_resource(given, resource, sent)
    answer = read_answer(given, is_effect=effect is not Effect.READ)
    done, declined, gone = _statuses(given, effect, is_mcp=upstream.is_mcp)
    kept = KEPT_READS if effect is Effect.READ else KEPT_EFFECTS
    function = Declared(
        name=name,
        title=title,
        summary=summary,
        effect=effect,
        level=level,
        egress=egress,
        resource=resource,
        retention=given.text("retention", _RETENTION, "must be an ISO 8601 duration such as P7Y", default=kept),
        calls_per_hour=given.integer("calls_per_hour", 1, 10_000) if given.has("calls_per_hour") else None,
        data_classes=frozenset(_classes(answer.fields)),
        method=method,
        path=path,
        sent=sent,
        answer=answer,
        timeout_ms=given.integer("timeout_ms", 1, 60_000, default=upstream.question_ms)
        if effect is Effect.READ
        else given.integer("timeout_ms", 1, 60_000, default=upstream.instruction_ms),
        done=done,
        declined=declined,
        gone=gone,
        status=_status_question(given, effect, is_mcp=upstream.is_mcp),
        tool=tool,
    )
    given.end()
    _check_effect(given, function, upstream, approved)
    _check_kinds(given, function, facts)
    return function


def _approved(given: Section) -> tuple[str, ...]:
    if not given.has("approved_by"):
        return ()
    approved = given.texts("approved_by", _NAME_OF_SOMEONE, "the name of a person")
    if len({item.casefold().strip() for item in approved}) < 2:
        given.wrong("approved_by", "must name two different people")
        return ()
    return approved


def _called(given: Section, effect: Effect) -> tuple[str, str, tuple[str, ...], ToolPin | None]:
    """The request that is a call of a tool. That it has no effect, people say: what its own annotations say of it is no promise."""
    request, approved = given.section("request"), _approved(given)
    if request is None:
        return TOOL, "", approved, None
    tool = read_tool(request)
    request.end()
    if effect is Effect.READ and not approved and given.is_sound("effect", "approved_by"):
        given.wrong("approved_by", "a read by a tool names two people who say that it has no effect", code="missing")
    return TOOL, tool.name, approved, tool


def _request(given: Section, effect: Effect) -> tuple[str, str, tuple[str, ...]]:
    request, approved = given.section("request"), _approved(given)
    if request is None:
        return "GET", "/", approved
    line = request.line_of("method")
    method = request.one_of("method", _METHODS)
    if not (given.is_sound("effect", "approved_by") and request.is_sound("method")):
        pass
    elif effect is Effect.READ and method != "GET" and not approved:
        request.wrong(
            "method", "a read is a GET, unless `approved_by` names two people who say that this one has no effect", line=line
        )
    elif effect is not Effect.READ and method == "GET":
        request.wrong("method", "an effect is a POST, PUT, PATCH or DELETE", line=line)
    line = request.line_of("path")
    path = request.text("path", _ANY_PATH, PATH_MUST)
    if path and not is_path(path, placeholders=names_in(path)):
        request.wrong("path", PATH_MUST, line=line)
        path = "/"
    request.end()
    return method, path, approved


def _arguments(given: Section, method: str, path: str, takes_pattern: Check) -> tuple[Sent, ...]:
    names = names_in(path)
    otherwise = ArgumentPlace.BODY if method in _WITH_BODY else ArgumentPlace.QUERY
    sent: list[Sent] = []
    for name, member in given.members("arguments", NAME, NAME_MUST, required=False):
        if name == "customer":
            member.wrong("", "the name `customer` stands for who asks")
        read = read_argument(name, member, place=ArgumentPlace.PATH if name in names else otherwise, takes_pattern=takes_pattern)
        _check_place(member, read, method, names)
        if (read.place, read.name) in {(other.place, other.name) for other in sent if other.place is not ArgumentPlace.PATH}:
            member.wrong("as", "another argument is sent under this name", code="clash")
        sent.append(read)
    for name in set(names) - {item.argument.name for item in sent} - {"customer"}:
        given.wrong("request.path", f"names {{{name}}}, which is no argument")
    if len(sent) > ARGUMENTS_MOST:
        given.wrong("arguments", f"has more than {ARGUMENTS_MOST}")
    _check_amounts(given, sent)
    return tuple(sent)


def _check_place(given: Section, sent: Sent, method: str, names: Sequence[str]) -> None:
    argument = sent.argument
    if (sent.place is ArgumentPlace.PATH) != (argument.name in names):
        given.wrong("in", "an argument in the path stands in braces there, and only it does")
    if method == TOOL and sent.place is ArgumentPlace.QUERY:
        given.wrong("in", "a tool has no query")
    if sent.place is ArgumentPlace.BODY and method not in _WITH_BODY:
        given.wrong("in", f"a {method} has no body")
    if sent.place is not ArgumentPlace.BODY and argument.kind is Kind.CREDENTIAL:
        given.wrong("in", "a credential is sent in a body: addresses stand in logs", code="unsafe")
    if sent.place is not ArgumentPlace.PATH:
        return
    if not argument.required:
        given.wrong("required", "an argument in the path is required")
    match argument.type:
        case Text(least=least) if least < 1:
            given.wrong("schema.minLength", "an argument in the path has at least one character", code="unsafe")
        case BareAmount() | Flag():
            given.wrong("in", "an amount or a flag does not stand in a path")
        case Text() | Choice() | Count() | Number() | Day() | Reference() | AccountIdentifier():
            pass


def _check_amounts(given: Section, sent: Sequence[Sent]) -> None:
    amounts = [item for item in sent if item.argument.kind is Kind.AMOUNT]
    by_name = {item.argument.name: item for item in sent}
    for item in amounts:
        amount = item.argument
        if _currency_of(amount) != _currency_of(amounts[0].argument):
            told = "is in another currency: the amounts of a call are in one, since limits hold their sum"
            given.wrong(f"arguments.{amount.name}", told, line=item.line)
        source = _currency_of(amount)[1]
        if source is None:
            continue
        named = by_name[source].argument if source in by_name else None
        if named is None or not isinstance(named.type, Choice) or not all(_is_currency(value) for value in named.type.values):
            given.wrong(
                f"arguments.{amount.name}.currency_from",
                "must name an argument that is an enum of currencies (ISO 4217)",
                line=item.line,
            )
        elif not named.required and named.default is None and amount.required:
            given.wrong(f"arguments.{source}", "holds a currency, so it is required or has a default", line=by_name[source].line)


def _currency_of(amount: Argument) -> tuple[str | None, str | None]:
    declared = amount.type
    return (declared.currency, declared.currency_argument) if isinstance(declared, BareAmount) else (None, None)


def _is_currency(text: str) -> bool:
    try:
        exponent(text)
    except ValueError:
        return False
    return True


def _check_resource(given: Section, resource: str | None, sent: Sequence[Sent]) -> None:
    if resource is None:
        return
    named = next((item.argument for item in sent if item.argument.name == resource), None)
    if named is None or not isinstance(named.type, Reference):
        given.wrong("resource", "must name an argument that is a reference: the policies know no other objects")


def _statuses(given: Section, effect: Effect, *, is_mcp: bool) -> tuple[frozenset[int], Mapping[int, str], frozenset[int]]:
    if is_mcp:
        is_read = effect is Effect.READ  # a read that ends with an error shows nothing, whatever the error says
        return frozenset({200}), {} if is_read else read_declined(given), frozenset({ERROR}) if is_read else frozenset()
    done = _codes(given, "done", "2", default=(200, 201, 204) if effect is not Effect.READ else (200,))
    gone = _codes(given, "gone", "4", default=()) if effect is Effect.READ else frozenset()
    declined = _declined(given) if effect is not Effect.READ else {}
    return done, declined, gone


def _codes(given: Section, name: str, family: str, *, default: Sequence[int]) -> frozenset[int]:
    node = given.take(name, required=False)
    if node is None:
        return frozenset(default)
    codes = [item.value for item in node.value] if isinstance(node.value, tuple) else []
    good = [code for code in codes if isinstance(code, int) and not isinstance(code, bool) and str(code).startswith(family)]
    if not good or len(good) != len(codes) or not all(_STATUS.fullmatch(str(item)) for item in good):
        given.wrong(name, f"must be a list of status codes {family}xx", line=node.line)
    return frozenset(good)


def _declined(given: Section) -> Mapping[int, str]:
    """Which answers say for certain that nothing happened, and never will under this key."""
    inside = given.section("declined", required=False)
    if inside is None:
        return {}
    declined = {}
    for status in range(400, 500):
        if inside.has(str(status)):
            declined[status] = inside.text(str(status), _REASON, "must be a status reason of ISO 20022, such as AM04")
    inside.end()
    for unclear in (408, 409, 425, 429):
        if unclear in declined:
            inside.wrong(str(unclear), "says nothing certain about what happened before", code="unsafe")
    return declined


def _status_question(given: Section, effect: Effect, *, is_mcp: bool) -> StatusQuestion | None:
    if effect is Effect.READ or not given.has("status"):
        return None
    if is_mcp:
        return read_status(given)
    asked = given.section("status")
    if asked is None:
        return None
    line = asked.line_of("path")
    path = asked.text("path", _ANY_PATH, PATH_MUST)
    if path and (not is_path(path, placeholders=("key", "customer")) or "key" not in names_in(path)):
        asked.wrong("path", PATH_MUST + "; with {key}", line=line)
    question = StatusQuestion(
        path=path,
        done=_codes(asked, "done", "2", default=(200,)),
        declined=_declined(asked),
        never=_codes(asked, "never", "4", default=()),
    )
    asked.end()
    if question.never & question.declined.keys():
        asked.wrong("never", "is declined too", code="clash")
    return question


def _classes(fields: Sequence[DeclaredField]) -> set[str]:
    found = {"basic"}
    for shown in fields:
        found |= {shown.field.data_class, shown.field.app_class or "basic"} | _classes(shown.members)
    return found


def _check_effect(given: Section, function: Declared, upstream: UpstreamAddress, approved: Sequence[str]) -> None:
    if function.level is Level.L0 and given.is_sound("level"):
        given.wrong("level", "L0 is for what the bank tells anybody: a declared function is asked for a customer")
    if not given.is_sound("effect"):
        return
    if function.effect is Effect.READ:
        if approved and function.method == "GET":
            given.wrong("approved_by", "a GET needs no approval", code="unknown_field")
        return
    if approved:
        given.wrong("approved_by", "is for reads that are no GET", code="unknown_field")
    if upstream.is_mcp and not upstream.honours_idempotency and function.status is None and not given.has("status"):
        told = "needs an upstream that honours its key, or a `status` tool: else nobody could ever say whether it happened"
        given.wrong("effect", told, code="unsafe")
    if upstream.idempotency_header is None:
        given.wrong("effect", "needs `upstream.idempotency`: an effect carries the key of its instruction", code="missing")
    if function.status is None:
        given.findings.add(
            given.line, given.where, "no_status", "what is in doubt stays so until somebody looks: there is no `status`", note=True
        )


def _check_kinds(given: Section, function: Declared, facts: FactQuestions) -> None:
    if not given.is_sound("effect", "level", "arguments"):
        return
    kinds = {item.argument.kind for item in function.sent}
    effect = function.effect
    if kinds & {Kind.CREDENTIAL, Kind.PROFILE}:
        if function.level < Level.L3:
            given.wrong("level", "what changes a credential or the profile is at least L3")
        if effect not in (Effect.WRITE, Effect.IRREVERSIBLE):
            given.wrong("effect", "what changes a credential or the profile is W or I")
    if kinds & {Kind.PAYEE, Kind.AMOUNT} and effect is Effect.PROTECT:
        given.wrong("effect", "what pays, or names an amount, is no protection: W or I")
    _check_objects(given, function, facts)
    _check_payee(given, function, facts)
    if effect is Effect.READ:
        return
    by_card = any(
        item.argument.name == function.resource
        and isinstance(item.argument.type, Reference)
        and ReferenceKind.CARD in item.argument.type.kinds
        for item in function.sent
    )
    if effect is Effect.IRREVERSIBLE and by_card and function.level < Level.L3:
        told = "the shipped policies ask for no confirmation of this: a card that is closed for good cannot wait"
        given.findings.add(given.line, given.where, "unconfirmed", told, note=True)
    if kinds & {Kind.PAYEE, Kind.AMOUNT} and facts.payees is None:
        told = "no payee is known: `facts.payees` is not declared"
        given.findings.add(given.line, given.where, "no_payees", told, note=True)


def _check_objects(given: Section, function: Declared, facts: FactQuestions) -> None:
    """Find objects that no list could say the owner of, and identifiers that could never be equal to those in the facts."""
    for item in function.sent:
        argument, where = item.argument, f"arguments.{item.argument.name}"
        for name in set(argument.lists) - facts.lists.keys():
            given.wrong(f"{where}.among", f"names {name}, which is no list in `facts`", line=item.line)
        known = [facts.lists[name] for name in lists_of(function.effect, argument) if name in facts.lists]
        if known and all(listing.scheme is not scheme_of(argument.type) for listing in known):
            told = f"is never equal to what the facts list: their scheme is {known[0].scheme}"
            given.wrong(f"{where}.schema", told, code="scheme", line=item.line)
        if argument.kind is Kind.OBJECT and not (known or argument.lists or isinstance(argument.type, Reference)):
            is_protection = function.effect is Effect.PROTECT
            told = "the upstream alone checks it, unless `among` says a list" if is_protection else "declare its list in `facts`"
            given.findings.add(item.line, given.where, "no_orders", f"nobody says whose `{argument.name}` is: {told}", note=True)


def _check_payee(given: Section, function: Declared, facts: FactQuestions) -> None:
    """Find a payee that could never be equal to one in the facts."""
    paid = [item for item in function.sent if item.argument.kind is Kind.PAYEE]
    named = min(paid, key=lambda item: isinstance(item.argument.type, Text), default=None)  # an account before a text
    if facts.payees is None or named is None or isinstance(named.argument.type, Reference):
        return
    if scheme_of(named.argument.type) is not facts.payee_scheme:
        told = f"is never equal to a payee of the facts: their scheme is {facts.payee_scheme}"
        given.wrong(f"arguments.{named.argument.name}.schema", told, code="scheme", line=named.line)
