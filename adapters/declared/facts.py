"""`facts` of a manifest: what the gateway itself asks an upstream, and how the identifiers in the answers are compared. Pure."""

import re
from collections.abc import Collection

from adapters.answers import ORDERS, OWN_ACCOUNTS
from adapters.declared.declarations import FactQuestions, Listing, Written
from adapters.declared.paths import PATH_MUST, is_path
from adapters.declared.schema import CURRENCY, NAME, NAME_MUST, WIRE_NAME, WIRE_NAME_MUST, check_currency
from adapters.declared.section import Section
from adapters.declared.tools import read_tool
from adapters.identity import Scheme

OWNED_MOST = 16
_ANY_PATH = re.compile(r".{1,2000}", re.DOTALL)

_PAYEES = ("identifier", "key", "name", "known_since", "saved_at", "paid_from")
_ORDERS = ("id", "payee", "amount", "currency", "name")
_ACCOUNTS = ("account",)
_INCOMING = ("id", "payer", "amount", "currency", "booked_at")
_OWNED = ("id",)


def read_facts(top: Section, *, is_mcp: bool = False) -> FactQuestions:
    """The questions; whatever is wrong with them is found. `is_mcp`: asked of tools, not of paths."""
    given = top.section("facts", required=False)
    if given is None:
        return FactQuestions()
    facts = FactQuestions(
        payees=_named(given, "payees", _PAYEES, ("identifier",), is_mcp=is_mcp),
        orders=_named(given, ORDERS, _ORDERS, ("id", "payee"), is_mcp=is_mcp, has_scheme=False),
        own_accounts=_named(given, OWN_ACCOUNTS, _ACCOUNTS, ("account",), is_mcp=is_mcp),
        incoming=_named(given, "incoming", _INCOMING, ("id", "payer", "amount"), is_mcp=is_mcp, has_scheme=False),
        owned=_owned(given, is_mcp=is_mcp),
    )
    given.end()
    return facts


def _owned(given: Section, *, is_mcp: bool) -> dict[str, Listing]:
    owned: dict[str, Listing] = {}
    for name, asked in given.members("owned", NAME, NAME_MUST, required=False):
        if name in (ORDERS, OWN_ACCOUNTS):
            asked.wrong("", "this list has a place of its own in `facts`", code="clash")
        owned[name] = _listing(asked, _OWNED, ("id",), is_mcp=is_mcp)
    if len(owned) > OWNED_MOST:
        given.wrong("owned", f"has more than {OWNED_MOST} lists")
    return owned


def _named(
    given: Section, name: str, known: Collection[str], required: Collection[str], *, is_mcp: bool, has_scheme: bool = True
) -> Listing | None:
    asked = given.section(name, required=False)
    return None if asked is None else _listing(asked, known, required, is_mcp=is_mcp, has_scheme=has_scheme)


def _listing(
    asked: Section, known: Collection[str], required: Collection[str], *, is_mcp: bool, has_scheme: bool = True
) -> Listing:
    """One question. Without a scheme: its identifiers are opaque, and whom it names is compared as the payees are."""
    tool = read_tool(asked) if is_mcp else None
    line = asked.line_of("path")
    path = "" if is_mcp else asked.text("path", _ANY_PATH, PATH_MUST)
    if path and not is_path(path, placeholders=("customer",)):
        asked.wrong("path", PATH_MUST, line=line)
    at = asked.maybe("at", WIRE_NAME, WIRE_NAME_MUST)
    fields = asked.section("fields") or Section(None, f"{asked.where}.fields", asked.findings)
    names = {member: fields.text(member, WIRE_NAME, WIRE_NAME_MUST) for member in known if fields.has(member) or member in required}
    fields.end()
    scheme = asked.one_of("scheme", tuple(Scheme), default=Scheme.OPAQUE) if has_scheme else Scheme.OPAQUE
    currency, written = None, Written.NUMBER
    if "amount" in names:
        written = asked.one_of("amounts", tuple(Written), default=Written.NUMBER)
        currency = asked.maybe("currency", CURRENCY, "must be a currency of ISO 4217")
        if currency is not None:
            check_currency(asked, "currency", currency)
        if sum((currency is not None, "currency" in names, written is Written.OBJECT)) != 1:
            asked.wrong("currency", "an amount has one currency: fixed, or in a field", code="missing")
    asked.end()
    return Listing(path=path, at=at, names=names, scheme=scheme, currency=currency, written=written, tool=tool)
