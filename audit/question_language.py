"""The language of questions to the trail: `field:value` and spaces, the same for the API, the command and the pages. Pure.

    function:initiate_transfer outcome:refused amount:>500EUR new_payee:yes since:2026-03-01 until:2026-04-01

A value with spaces stands in double quotes, in which `\\"` and `\\\\` are a quote and a backslash. `kind` and `outcome` take several
values with commas between, any of which may hold; all fields together must hold. Times are ISO 8601: a day, a month (`during:2026-03`)
or a moment, in UTC where they name no zone; `since` is inclusive, `until` exclusive.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from audit.leaf import EndState, RecordKind
from audit.query import Query
from audit.sealed_conditions import condition_of
from audit.terms import CallOutcome

TEXT_MOST = 2000
"""Characters of a question."""

VALUE_MOST = 256


class QuestionInvalid(ValueError):
    """It cannot be read. `at`: the character, from 0, at which what is wrong begins."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message, self.at = message, at


@dataclass(frozen=True, slots=True)
class QuestionField:
    """A word of the language: what it becomes of a `Query`, and what it means. `takes`: changes the query by a value; ValueError."""

    name: str
    means: str
    example: str
    takes: Callable[[Query, str], Query]
    aliases: tuple[str, ...] = ()


def parse_question(text: str) -> Query:
    """The question that a text asks; an empty one asks for everything. QuestionInvalid."""
    if len(text) > TEXT_MOST:
        raise QuestionInvalid(f"a question has at most {TEXT_MOST} characters", TEXT_MOST)
    query, said = Query(), set[str]()
    for at, name, value in _words(text):
        field = _BY_NAME.get(name.casefold())
        if field is None:
            known = ", ".join(item.name for item in FIELDS)
            raise QuestionInvalid(f"{name[:40]!r} is not a field; there are {known}", at)
        if not 0 < len(value) <= VALUE_MOST:
            raise QuestionInvalid(f"{field.name}: a value has 1 to {VALUE_MOST} characters", at)
        for part in ("since", "until") if field.name == "during" else (field.name,):
            if part in said:
                raise QuestionInvalid(f"{field.name}: said twice", at)
            said.add(part)
        try:
            query = field.takes(query, value)
        except ValueError as error:
            raise QuestionInvalid(f"{field.name}: {error}", at) from None
    if query.since is not None and query.until is not None and query.since >= query.until:
        raise QuestionInvalid("until is not after since: nothing can match", 0)
    return query


def period_of(text: str) -> tuple[datetime, datetime]:
    """From when until before when a year, a month or a day lasts, in UTC. QuestionInvalid for anything else."""
    try:
        query = parse_question(f"during:{_quoted(text.strip())}")  # one word of the language, whatever stands in it
    except QuestionInvalid:
        query = Query()
    if query.since is None or query.until is None:
        raise QuestionInvalid("during: a year, a month or a day, such as 2026-03", 0)
    return query.since, query.until


def question_text(query: Query) -> str:
    """The question in the one spelling of this language: `parse_question` of it gives the same."""
    said: list[tuple[str, str]] = []
    for field in FIELDS:
        attribute = _ATTRIBUTES.get(field.name, field.name)
        value = getattr(query, attribute, None)
        if field.name == "during" or value is None or value == ():
            continue
        if isinstance(value, datetime):
            said.append((field.name, _moment_text(value)))
        elif isinstance(value, tuple):
            said.append((field.name, ",".join(item.value for item in value)))
        else:
            said.append((field.name, str(value)))
    return " ".join(f"{name}:{_quoted(value)}" for name, value in said)


_WORD = re.compile(r'\s*(?P<name>[A-Za-z_-]+):(?:"(?P<quoted>(?:[^"\\]|\\["\\])*)"|(?P<bare>[^\s"]*))(?=\s|$)')


def _words(text: str) -> Iterator[tuple[int, str, str]]:
    at = 0
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            left = text[at:].lstrip()
            if not left:
                return
            at = len(text) - len(left)
            if '"' in left.split(maxsplit=1)[0]:
                raise QuestionInvalid("a quote is not closed, or something follows it without a space", at)
            raise QuestionInvalid("a question is made of field:value, such as function:initiate_transfer", at)
        quoted = found["quoted"]
        value = found["bare"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        yield found.start("name"), found["name"], value
        at = found.end()


def _quoted(value: str) -> str:
    if re.fullmatch(r'[^\s"]+', value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _moment_text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def moment_of(text: str) -> datetime:
    """A day or a moment; UTC where it names no zone. ValueError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a time is ISO 8601, such as 2026-03-01 or 2026-11-24T09:00:00Z") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _during(text: str) -> tuple[datetime, datetime]:
    """A year, a month or a day."""
    found = re.fullmatch(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?", text)
    if found is None:
        raise ValueError("a year, a month or a day, such as 2026-03")
    try:
        year, month, day = (None if part is None else int(part) for part in found.groups())
        start = datetime(year or 0, month or 1, day or 1, tzinfo=UTC)
        if day is not None:
            return start, start + timedelta(days=1)
        if month is not None:
            return start, datetime(start.year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        return start, datetime(start.year + 1, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError("no such year, month or day") from None


def _set(attribute: str) -> Callable[[Query, str], Query]:
    return lambda query, value: _changed(query, **{attribute: value})


def _changed(query: Query, **changes: Any) -> Query:
    return replace(query, **changes)


def _among(attribute: str, known: type[RecordKind] | type[CallOutcome]) -> Callable[[Query, str], Query]:
    def take(query: Query, value: str) -> Query:
        chosen = value.split(",")
        if any(item not in tuple(known) for item in chosen):
            raise ValueError(f"one or several, with commas, of {', '.join(known)}")
        return _changed(query, **{attribute: tuple(dict.fromkeys(known(item) for item in chosen))})

    return take


def _one_of(attribute: str, *known: str) -> Callable[[Query, str], Query]:
    def take(query: Query, value: str) -> Query:
        if value not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return _changed(query, **{attribute: value})

    return take


def _amount(query: Query, value: str) -> Query:
    text = re.sub(r"\s+", "", value).upper()
    condition_of(text, None, None)
    return _changed(query, amount=text)


def _taking(name: str) -> Callable[[Query, str], Query]:
    return lambda query, value: _changed(query, **{name: moment_of(value)})


def _within(query: Query, value: str) -> Query:
    since, until = _during(value)
    return _changed(query, since=since, until=until)


FIELDS: tuple[QuestionField, ...] = (
    QuestionField("since", "from this day or moment on (UTC)", "2026-03-01", _taking("since")),
    QuestionField("until", "before this day or moment (UTC)", "2026-04-01", _taking("until")),
    QuestionField("during", "within this year, month or day (UTC)", "2026-03", _within),
    QuestionField("customer", "the bank's id of the customer", "C-1001", _set("customer")),
    QuestionField("agent", "the agent, client or assistant that acted", "banking-app", _set("agent"), ("assistant", "client")),
    QuestionField("call", "the id of a call", "call_5f0c", _set("call_id")),
    QuestionField("conversation", "the id of a conversation or thread", "conv_81aa", _set("conversation"), ("thread",)),
    QuestionField("trace", "the W3C trace id", "4bf92f3577b34da6a3ce929d0e0e4736", _set("trace_id")),
    QuestionField("function", "the banking function", "initiate_transfer", _set("function")),
    QuestionField("decision", "what the policies said", "deny", _one_of("decision", "permit", "challenge", "deny")),
    QuestionField("outcome", "how the call stands by now", "refused,declined", _among("outcomes", CallOutcome)),
    QuestionField("policy", "the id of a rule that decided", "levels.confirmation", _set("policy")),
    QuestionField("bundle", "the SHA-256 of the policy bundle", "bac24f29…", _set("bundle_hash")),
    QuestionField("reason", "the code of why", "ungrounded_payee", _set("reason")),
    QuestionField("end", "the end state of what was sent to the core", "executed", _one_of("end_state", *EndState)),
    QuestionField("kind", "kinds of records", "intent,outcome", _among("kinds", RecordKind)),
    QuestionField("approver", "who agreed as the second person", "ada", _set("approver")),
    QuestionField("by", "who of the bank did it", "eve", _set("by")),
    QuestionField("case", "the case id of a look, or of what people did", "C-2026-17", _set("case")),
    QuestionField("about", "of looks: the customer whom they were about", "C-1001", _set("about")),
    QuestionField("shown", "of looks that named nobody: a customer whose record they showed", "C-1001", _set("shown")),
    QuestionField("switch", "what people did with this kill switch", "kill_0f3a", _set("switch")),
    QuestionField(
        "while_switch", "from the moment this kill switch was engaged until it was lifted", "kill_0f3a", _set("while_switch")
    ),
    QuestionField("word", "what was done, of records that are no calls", "kill_engaged", _set("word")),
    QuestionField("confirmation", "the id of what the customer was asked to confirm", "cnf_839e", _set("confirmation")),
    QuestionField("amount", "sealed: the amount of the call", ">500EUR", _amount),
    QuestionField(
        "payee",
        "sealed: an account, a saved payee's id or a name that the call names",
        '"DE89 3704 0044 0532 0130 00"',
        _set("payee"),
    ),
    QuestionField(
        "new_payee",
        "sealed: whether nothing shows that the customer had paid them before",
        "yes",
        _one_of("new_payee", "yes", "no"),
    ),
)
"""Every word of the language, in the order in which `question_text` says them."""

_BY_NAME: Mapping[str, QuestionField] = {name: field for field in FIELDS for name in (field.name, *field.aliases)}
_ATTRIBUTES: Mapping[str, str] = {
    "call": "call_id",
    "trace": "trace_id",
    "bundle": "bundle_hash",
    "end": "end_state",
    "kind": "kinds",
    "outcome": "outcomes",
}
