"""An intent as the customer reads it: plain words, every value with where it comes from, nothing left out. Pure.

What a page does not know by name it shows as label and value; and all of it, word by word, below. Characters that deceive the eye are
spelt out.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.domain.doubts import QuotedPart
from gateway.domain.strict_json import Json

SOURCES: Mapping[str, str] = {
    "typed": "you wrote it",
    "own": "your own",
    "known": "somebody you have paid before",
    "unchanged": "as it is in the existing order",
    "confirmed": "you confirmed it before",
    "new": "saved or first paid only a short while ago",
    "pasted": "from text that you pasted",
    "document": "from a document that you named",
    "unnamed": "from a document that you did not name",
    "ambiguous": "your words name more than one",
    "calculated": "calculated by the assistant",
    "out_of_scope": "your words do not plainly ask for this",
}
"""Where a value comes from, in plain words."""

_NEW_BY_KIND = {"credential": "you wrote it", "profile": "you wrote it", "document": SOURCES["unnamed"]}
"""New says of a payee that the customer has not paid them, and of these something else."""

_OF_FREE_TEXT = {"own": "written by the assistant", "typed": "written by the assistant; its numbers are yours"}
"""Of free words only the numbers are grounded."""

CHECKS: Mapping[str, str] = {
    "match": "The bank checked: name and account belong together.",
    "close_match": "The bank checked: the name is only similar to that of the account.",
    "no_match": "The bank checked: this account belongs to somebody else.",
    "not_possible": "The bank could not check whose account this is.",
}
"""What came of the payee check, in plain words."""

NO_ACCOUNT = "no default: the one that you say"
"""Of a standing mandate without a default account."""

_FREE_TEXT, _PAYEE, _AMOUNT = "free_text", "payee", "amount"
_OF_CALL = frozenset(
    "function title arguments exactly payee amount account execute_on rail fees consequence initiated_through_assistant".split()  # noqa: SIM905
) | {"quoted", "doubts"}
_OF_INTENT = frozenset(
    "version id call_ids customer agent agent_name bundle issued_at expires level calls total warnings mandate".split()  # noqa: SIM905
)
_OF_MANDATE = frozenset("id title payees account per_payment per_day payments_per_day from until exactly".split())  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class ValueRow:
    """`note`: where it comes from, or what to know of it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class CallView:
    """`amount` is shown large; `texts` are somebody's free words, and are shown marked, away from the buttons.

    `quoted`: what the customer wrote, in its parts; `doubts`: why they are asked, a sentence each.
    """

    title: str
    amount: ValueRow | None
    payee: ValueRow | None
    identifier: str
    check: str
    rows: tuple[ValueRow, ...]
    texts: tuple[ValueRow, ...]
    consequence: str
    quoted: tuple[QuotedPart, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IntentView:
    """All of an intent. `everything` holds it a second time, word by word."""

    calls: tuple[CallView, ...]
    total: str
    warnings: tuple[str, ...]
    agent: str
    expires: str
    more: tuple[ValueRow, ...]
    everything: tuple[ValueRow, ...]
    is_own: bool = False
    """The customer asked for it themselves, without an assistant: a standing mandate."""

    @property
    def sum(self) -> str:
        """What leaves the customer, for the button; empty when nothing does, or not in one currency."""
        return self.total or (self.calls[0].amount.value if len(self.calls) == 1 and self.calls[0].amount else "")


def view(intent: Mapping[str, Json]) -> IntentView:
    """Never raises: whatever form a part has, it is shown."""
    calls = tuple(_call(call) for call in _list(intent.get("calls")) if isinstance(call, dict))
    mandate = intent.get("mandate")
    is_own = isinstance(mandate, dict) and not calls
    if isinstance(mandate, dict):
        calls += (_mandate(mandate, intent.get("agent_name") or intent.get("agent")),)
    more = _unknown(intent, _OF_INTENT)
    return IntentView(
        calls=calls,
        total=_money(intent.get("total")) if len(calls) > 1 else "",
        warnings=tuple(_warning(item) for item in _list(intent.get("warnings"))),
        agent=_text(intent.get("agent_name") or intent.get("agent")),
        expires=_moment(intent.get("expires")),
        more=more if isinstance(mandate, dict | None) else (*more, ValueRow("Mandate", _any(mandate))),
        everything=tuple(ValueRow(path, value) for path, value in _flat("", dict(intent))),
        is_own=is_own,
    )


def _mandate(mandate: Mapping[str, Json], agent: Json) -> CallView:
    """A standing mandate: its bounds in words."""
    rows = (
        ValueRow("Pays", "; ".join(_whom(item) for item in _list(mandate.get("payees")))),
        ValueRow("From account", NO_ACCOUNT if mandate.get("account") is None else _whom(mandate["account"])),
        ValueRow("Each payment", f"at most {_money(mandate.get('per_payment'))}"),
        ValueRow("In 24 hours", f"at most {_money(mandate.get('per_day'))}"),
        ValueRow("How often", f"at most {_any(mandate.get('payments_per_day'))} payments in 24 hours"),
        ValueRow("From", _moment(mandate.get("from"))),
        ValueRow("Until", _moment(mandate.get("until"))),
        ValueRow("Assistant", _text(agent) or "whichever you use"),
    )
    note = "You can revoke it at any time, and that counts at once."
    return CallView(
        title=_text(mandate.get("title")),
        amount=None,
        payee=None,
        identifier="",
        check="",
        rows=(*rows, *_unknown(mandate, _OF_MANDATE)),
        texts=(),
        consequence=note,
    )


def _whom(payee: Json) -> str:
    """A payee or account of a mandate; anything else whole."""
    if isinstance(payee, dict) and set(payee) == {"name", "identifier"}:
        return f"{_text(payee['name']) or '(no name)'} {_text(payee['identifier'])}"
    return _any(payee)


def visible(text: str) -> str:
    """The text with every character that cannot be seen, or that moves others, spelt out."""
    return "".join(f"⟨U+{ord(item):04X}⟩" if _deceives(item) else item for item in text)


def _deceives(character: str) -> bool:
    return character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")


def _call(call: Mapping[str, Json]) -> CallView:
    arguments = [item for item in _list(call.get("arguments")) if isinstance(item, dict)]
    payee, amount, account = call.get("payee"), call.get("amount"), call.get("account")
    rows = [ValueRow("From", _text(account))] if account is not None else []
    texts: list[ValueRow] = []
    for argument in arguments:
        row = ValueRow(
            _label(_text(argument.get("label") or argument.get("name"))), _text(argument.get("value")), _source(argument)
        )
        is_shown = argument.get("kind") == _PAYEE and payee is not None
        if argument.get("kind") == _FREE_TEXT:
            texts += [row] if row.value else []  # an empty reference is none
        elif not is_shown and not (argument.get("kind") == _AMOUNT and amount is not None) and row.value != _text(account):
            rows.append(row)
    if amount is not None:
        day = call.get("execute_on")
        rows.append(ValueRow("When", _text(day) if day is not None else "at once, when you confirm"))
        rows.append(ValueRow("Fees", ", ".join(_any(item) for item in _list(call.get("fees"))) or "none"))
    rows += [ValueRow("By", _text(call["rail"]))] if call.get("rail") is not None else []
    return CallView(
        title=_text(call.get("title") or call.get("function")),
        amount=None if amount is None else ValueRow("Amount", _money(amount), _source_of(arguments, _AMOUNT)),
        payee=_payee(payee, arguments),
        identifier=_text(payee.get("identifier")) if isinstance(payee, dict) else "",
        check=_check(payee),
        rows=(*rows, *_unknown(call, _OF_CALL)),
        texts=tuple(texts),
        consequence=_text(call.get("consequence")),
        quoted=tuple(part for given in _list(call.get("quoted")) for part in _quoted(given)),
        doubts=tuple(_warning(item) for item in _list(call.get("doubts"))),
    )


def _quoted(part: Json) -> Iterator[QuotedPart]:
    """Whatever form it has, it is shown; what does not say that it was understood was not. The space around words is never marked."""
    text, understood = _any(part), False
    if isinstance(part, dict) and set(part) == {"text", "understood"}:
        text, understood = _text(part["text"]), part["understood"] is True
    words = text.strip()
    before, _, after = text.partition(words) if words else (text, "", "")
    for piece, is_understood in ((before, True), (words, understood), (after, True)):
        if piece:
            yield QuotedPart(piece, is_understood)


def _payee(payee: Json, arguments: list[dict[str, Json]]) -> ValueRow | None:
    if payee is None:
        return None
    if not isinstance(payee, dict):
        return ValueRow("To", _any(payee))
    known = "you have paid them before" if payee.get("known") is True else "you have not paid them before, or only recently"
    source = _source_of(arguments, _PAYEE)
    return ValueRow("To", _text(payee.get("name")) or "Nobody whom you have saved", source if source == SOURCES["own"] else known)


def _check(payee: Json) -> str:
    check = payee.get("check") if isinstance(payee, dict) else None
    return "" if check is None else CHECKS.get(str(check), _any(check))


def _source(argument: Mapping[str, Json]) -> str:
    source = argument.get("source")
    if not isinstance(source, str):
        return "chosen by the assistant" if source is None else _any(source)
    if argument.get("kind") == _FREE_TEXT and source in _OF_FREE_TEXT:
        return _OF_FREE_TEXT[source]
    if source == "new" and argument.get("kind") in _NEW_BY_KIND:
        return _NEW_BY_KIND[str(argument["kind"])]
    if argument.get("kind") == _AMOUNT and source == "own":
        return "between your own accounts"
    kind, _, named = source.partition(":")
    if kind == "document" and named:
        return f"from the document {visible(named)} that you named"
    return SOURCES.get(source) or visible(source)


def _source_of(arguments: list[dict[str, Json]], kind: str) -> str:
    return next((_source(argument) for argument in arguments if argument.get("kind") == kind), "")


def _warning(warning: Json) -> str:
    return _text(warning.get("text") or warning.get("code")) if isinstance(warning, dict) else _any(warning)


def _money(money: Json) -> str:
    if isinstance(money, dict) and set(money) == {"value", "currency"}:
        return f"{_text(money['value'])} {_text(money['currency'])}"
    return "" if money is None else _any(money)


def _moment(text: Json) -> str:
    try:
        at = datetime.fromisoformat(str(text))
        return _any(text) if at.tzinfo is None else at.astimezone(UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0")
    except (ValueError, OverflowError):
        return _any(text)


def _unknown(part: Mapping[str, Json], known: frozenset[str]) -> tuple[ValueRow, ...]:
    return tuple(ValueRow(_label(name), _any(value)) for name, value in part.items() if name not in known)


def _label(name: str) -> str:
    return visible(name).replace("_", " ").capitalize()


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else ([] if value is None else [value])


def _text(value: Json) -> str:
    return "" if value is None else visible(value) if isinstance(value, str) else _any(value)


def _any(value: Json) -> str:
    """Any value in words; nothing is left out."""
    match value:
        case None:
            return "(none)"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_any(item) for item in value) or "(none)"
        case dict():
            return "; ".join(f"{_label(name)}: {_any(item)}" for name, item in value.items()) or "(none)"
    return visible(str(value))


def _flat(path: str, value: Json) -> Iterator[tuple[str, str]]:
    """Every leaf with its path."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _flat(f"{path}.{name}" if path else name, item)
    elif isinstance(value, list) and value:
        for position, item in enumerate(value, 1):
            yield from _flat(f"{path} {position}", item)
    else:
        yield visible(path), _any(value)
