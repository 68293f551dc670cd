"""The customer's own pages beside the confirm page: what was done through their assistant, who looked, their standing mandates.

A sign-in for these pages confirms nothing: its session is another than a confirmation's. With it one may read, revoke, and ask for a
mandate, which is in force once it is confirmed on the confirm page, with a signature of its own.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.core import Money
from audit.log import Log
from gateway.confirmations.standing_mandates import LONGEST, MandateTerms, StandingMandates
from gateway.domain.errors import Fault, RequestFault, Unavailable
from gateway.domain.ports import Book
from gateway.domain.principal import SCOPE_CONFIRM, Principal
from gateway.domain.proposal import Proposal
from gateway.domain.strict_json import Json, Parsed
from gateway.doors.bodies import body, json_answer
from gateway.doors.pages import granted_view, own_view, tool_view
from gateway.doors.pages.shell import PageShell, bound, html, same_origin, sign_in, signed_in
from gateway.doors.rest import Door
from gateway.oversight import activity
from gateway.oversight.tool_records import BEGINS

MOST_PAYMENTS, MOST_PAYEES = 1000, 100
_SIGN_IN = "/own"
_FORM = frozenset({"who", "payees", "account", "currency", "per_payment", "per_day", "payments_per_day", "days"})
_MOST_CHARS = 10_000


@dataclass(frozen=True, slots=True)
class OwnPages:
    """What these pages need beside the confirm page's."""

    standing_mandates: StandingMandates
    log: Log
    book: Book


class _FormErrors(Exception):
    """Fields of the form that make no mandate, each with what to do about it. Nothing is recorded of them."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(*fields)
        self.fields = fields


_Shown = Callable[[PageShell, OwnPages, Request, Principal], Awaitable[Response]]
_Word = Callable[[OwnPages, Request, Principal, Parsed], Awaitable[Response]]


def own_routes(page: PageShell, own: OwnPages) -> list[Route]:
    """The routes of these pages."""
    return [
        Route("/activity", _reading(page, own, _activity), methods=["GET"]),
        Route("/activity/looks", _reading(page, own, _looks), methods=["GET"]),
        Route("/mandates", _reading(page, own, _mandates), methods=["GET"]),
        Route("/mandates", _speaking(page, own, _propose), methods=["POST"]),
        Route("/mandates/{mandate_id}/revoke", _speaking(page, own, _revoke), methods=["POST"]),
        Route(f"{_SIGN_IN}/sign-in", bound(page, lambda page, request: sign_in(page, request, None)), methods=["POST"]),
    ]


def _reading(page: PageShell, own: OwnPages, shown: _Shown) -> Callable[[Request], Awaitable[Response]]:
    """A page for who signed in; the sign-in for everybody else."""

    async def answered(request: Request) -> Response:
        principal = page.principal(request, None)
        if principal is None:
            return page.sign_in_page("own_sign_in.html", _SIGN_IN, None)

        async def read(_door: Door, _request: Request, who: Principal) -> Response:
            try:
                return await shown(page, own, request, who)
            except Unavailable:
                return html("later.html", page.known(_SIGN_IN), status=503)
            except RequestFault as fault:
                if fault.param != "cursor":
                    raise
                return html("nothing.html", page.known(_SIGN_IN), status=404)

        return await page.door.answer_as(request, signed_in(principal), read, SCOPE_CONFIRM)

    return answered


def _speaking(page: PageShell, own: OwnPages, word: _Word) -> Callable[[Request], Awaitable[Response]]:
    """What only our own page's script may say, for who signed in."""

    async def answered(request: Request) -> Response:
        async def heard(_door: Door, _request: Request, who: Principal) -> Response:
            same_origin(page, request)
            return await word(own, request, who, await body(request))

        return await page.door.answer_as(request, signed_in(page.principal(request, None)), heard, SCOPE_CONFIRM)

    return answered


async def _activity(page: PageShell, own: OwnPages, request: Request, who: Principal) -> Response:
    cursor = request.query_params.get("cursor")
    listed = await activity.of_customer(own.log, own.book, who.customer, cursor, newest_first=True)
    waiting = await page.relying_party.confirmations.waiting(who.customer, page.clock())
    known = page.known(_SIGN_IN) | {
        "here": "/activity",
        "cursor": cursor,
        "next_cursor": listed.next_cursor,
        "waiting": own_view.waits(waiting, who.customer),
        "entries": own_view.entries(listed.items, await _facts(page, own, who.customer, listed.items, waiting)),
    }
    return html("activity.html", known)


async def _facts(
    page: PageShell, own: OwnPages, customer: str, items: Sequence[Mapping[str, Json]], waiting: Sequence[Proposal]
) -> own_view.ActivityFacts:
    """What these records say only by an id, in names; while the core does not answer, payees have none."""
    ids = {str(item["confirmation_id"]) for item in items if item["confirmation_id"]}
    proposals = [await page.relying_party.confirmations.find(customer, id_) for id_ in sorted(ids)]
    assistants = await own.book.assistant_names({str(item["assistant"]) for item in items if item["assistant"]})
    begun = {str(item["call_id"]) for item in items if item["word"] == BEGINS}
    files = {id_ for item in items for id_ in tool_view.ids(item)}
    try:
        payees, held = await own.standing_mandates.names(customer), await own.standing_mandates.accounts(customer)
    except Unavailable:
        payees, held = {}, []
    return own_view.ActivityFacts(
        functions={function.name: function for function in page.door.functions},
        waiting=frozenset(proposal.id for proposal in waiting),
        proposals={proposal.id: proposal for proposal in proposals if proposal is not None},
        payees=own_view.payee_names(payees, held),
        assistants=assistants,
        files=await own.book.file_names(customer, files, page.clock()),
        ended=await activity.ended(own.log, begun - {str(item["call_id"]) for item in items if item["word"] != BEGINS}),
    )


async def _looks(page: PageShell, own: OwnPages, request: Request, who: Principal) -> Response:
    cursor = request.query_params.get("cursor")
    listed = await activity.looks(own.log, who.customer, cursor, newest_first=True)
    known = {
        "here": "/activity/looks",
        "cursor": cursor,
        "next_cursor": listed.next_cursor,
        "entries": own_view.looks(listed.items),
    }
    return html("looks.html", page.known(_SIGN_IN) | known)


async def _mandates(page: PageShell, own: OwnPages, _request: Request, who: Principal) -> Response:
    """What is in force is shown, and can be revoked, even while the core does not answer."""
    standing = await own.standing_mandates.standing(who.customer)
    try:
        names, held = await own.standing_mandates.names(who.customer), await own.standing_mandates.accounts(who.customer)
    except Unavailable:
        names, held = {}, []
    accounts = own_view.account_options(held)
    granted = await own.book.mandate(who.customer)
    agents = await own.book.assistant_names({mandate.agent for mandate in standing if mandate.agent is not None})
    functions = {function.name: function for function in page.door.functions}
    of_key = own_view.Names(names, {account.key: account.words for account in accounts}, agents)
    known = {
        "here": "/mandates",
        "mandates": [own_view.bounds(item, of_key) for item in standing],
        "currencies": list(dict.fromkeys(account.currency for account in accounts)),
        "accounts": accounts,
        "longest": LONGEST.days,
        "granted": None if granted is None else granted_view.granted(granted, functions, held, page.clock()),
    }
    return html("mandates.html", page.known(_SIGN_IN) | known)


async def _revoke(own: OwnPages, request: Request, who: Principal, sent: Parsed) -> Response:
    """At once. What was revoked before is revoked: the customer is told so again."""
    mandate = request.path_params["mandate_id"]
    if sent != {"revoke": True}:
        raise RequestFault(Fault.INVALID_REQUEST, 'the body: must be {"revoke": true}')
    if not await own.standing_mandates.revoke(who.customer, mandate):
        raise RequestFault(Fault.NOT_FOUND, "no such mandate", param="mandate_id")
    return json_answer({"revoked": True})


async def _propose(own: OwnPages, _request: Request, who: Principal, sent: Parsed) -> Response:
    try:
        proposal = await own.standing_mandates.propose(who, terms_of(sent))
    except _FormErrors as wrong:
        return _at_the_fields(wrong.fields)
    except RequestFault as fault:
        if fault.param not in _FORM:
            raise
        return _at_the_fields({str(fault.param): f"{fault.message[:1].upper()}{fault.message[1:]}."})
    return json_answer({"confirmation_id": proposal.id})


def _at_the_fields(fields: dict[str, str]) -> Response:
    response = json_answer({"fields": fields})
    response.status_code = 400
    return response


def terms_of(form: Parsed) -> MandateTerms:
    """The form as it was filled in. RequestFault for another form; `_FormErrors` for what makes no mandate."""
    if not isinstance(form, dict) or set(form) != _FORM:
        raise RequestFault(Fault.INVALID_REQUEST, "the body: must be the form of a new mandate")
    filled = {name: value.strip() for name, value in form.items() if isinstance(value, str) and len(value) <= _MOST_CHARS}
    if len(filled) != len(_FORM) or filled["who"] not in ("everyone", "these"):
        raise RequestFault(Fault.INVALID_REQUEST, "every field of the form must be a text")
    wrong: dict[str, str] = {}
    payees = _payees(filled, wrong)
    payment, day = (_money(filled, name, wrong) for name in ("per_payment", "per_day"))
    if payment is not None and day is not None and day.minor < payment.minor:
        wrong["per_day"] = "This is less than one payment may be."
    count = _number(filled, "payments_per_day", MOST_PAYMENTS, wrong)
    days = _number(filled, "days", LONGEST.days, wrong)
    if wrong or payment is None or day is None:
        raise _FormErrors(wrong)
    account = filled["account"] or None
    return MandateTerms(payees=payees, payment=payment, day=day, day_count=count, days=days, agent=None, account=account)


def _payees(filled: dict[str, str], wrong: dict[str, str]) -> tuple[str, ...] | None:
    if filled["who"] == "everyone":
        return None
    named = tuple(dict.fromkeys(line.strip() for line in filled["payees"].splitlines() if line.strip()))
    if not named:
        wrong["payees"] = "Write at least one account number, or choose everyone whom you have paid before."
    elif len(named) > MOST_PAYEES or any(not 4 <= len(argument) <= 64 for argument in named):
        wrong["payees"] = f"One account number in each line, at most {MOST_PAYEES} of them."
    return named


def _money(filled: dict[str, str], name: str, wrong: dict[str, str]) -> Money | None:
    try:
        return Money.parse(filled[name], filled["currency"])
    except ValueError:
        wrong[name] = "Write an amount in figures with a point, such as 25 or 25.50." if filled[name] else "Write an amount."
        return None


def _number(filled: dict[str, str], name: str, most: int, wrong: dict[str, str]) -> int:
    text = filled[name]
    if text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= most:
        return int(text)
    wrong[name] = f"Write a whole number from 1 to {most}."
    return 0
