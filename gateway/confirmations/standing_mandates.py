"""Standing mandates: asked for by the customer themselves, confirmed like everything else, listed and revoked by them."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from adapters.core import Account, CoreBank, CoreUnavailable, KnownPayee, Money
from adapters.function import BankingFunction, Kind
from adapters.identity import Scheme, canonical
from gateway.calls.decide import Decider
from gateway.calls.record import Records
from gateway.confirmations.intent import number_of, principal_bytes, readable
from gateway.domain.errors import Fault, Refusal, RequestFault, Unavailable
from gateway.domain.mandate import StandingMandate
from gateway.domain.ports import Book, ProposalStore
from gateway.domain.principal import Principal
from gateway.domain.proposal import NewProposal, Proposal, drawn_up, new_id
from gateway.domain.strict_json import Json

LONGEST = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateTerms:
    """What a customer asks for. `payees`: account numbers of payees whom they know, or None for every one of them.

    `account`: the number of their own account from which payments come that name none; None: no default.
    """

    payees: tuple[str, ...] | None
    payment: Money
    day: Money
    day_count: int
    days: int
    agent: str | None
    account: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingMandates:
    book: Book
    store: ProposalStore
    core: CoreBank
    records: Records
    decider: Decider
    functions: Sequence[BankingFunction]
    clock: Callable[[], datetime]
    waiting_most: int
    day_most: int

    async def propose(self, principal: Principal, terms: MandateTerms) -> Proposal:
        """What the customer is to confirm. RequestFault for terms that make no mandate, or when too much waits already."""
        now, customer = self.clock(), principal.customer
        named, account = await self._named(customer, terms), await self._account(customer, terms)
        mandate = StandingMandate(
            id=f"std_{secrets.token_hex(16)}",
            customer=customer,
            agent=terms.agent,
            currency=terms.payment.currency,
            payees=None if terms.payees is None else frozenset(payee.key for payee in named),
            payment_minor=terms.payment.minor,
            day_minor=terms.day.minor,
            day_count=terms.day_count,
            starts=now.replace(microsecond=0),
            ends=now.replace(microsecond=0) + timedelta(days=terms.days),
            account=None if account is None else account.key,
        )
        agents = await self.book.assistant_names([terms.agent]) if terms.agent else {}
        shown = _Shown(named, account, agents.get(terms.agent or ""))
        proposal = _proposal(mandate, terms, shown, self.decider.policies.bundle.hash, now)
        new = NewProposal(
            proposal=proposal,
            conversation=None,
            turn=None,
            principal=principal_bytes(principal),
            repeat_key=sha256(mandate.canonical()).digest(),
            calls=(),
            open_most=self.waiting_most,
            day_most=self.day_most,
        )
        try:
            await self.store.keep(new)
        except Refusal:
            message = "too much waits for the customer already; confirm or decline that first"
            raise RequestFault(Fault.CONFIRMATION_WAITS, message) from None
        return proposal

    async def names(self, customer: str) -> Mapping[str, KnownPayee]:
        """The payees whom the customer knows, by their keys. Unavailable."""
        return {payee.key: payee for payee in await self._known(customer)}

    async def accounts(self, customer: str) -> Sequence[Account]:
        """The customer's accounts, in whatever status. Unavailable."""
        try:
            return await self.core.accounts(customer)
        except CoreUnavailable:
            raise Unavailable("core_unavailable") from None

    async def standing(self, customer: str) -> Sequence[StandingMandate]:
        """Those in force or to come, that were not revoked."""
        return [item for item in await self.book.standing(customer) if item.ends > self.clock()]

    async def revoke(self, customer: str, mandate: str) -> bool:
        """At once, in every process: the next payment is asked again. False: none of theirs, or revoked already."""
        revoked = await self.book.revoke_standing(customer, mandate, self.clock())
        if revoked:  # after it: what protects never waits for the trail
            await self.records.mandate(customer, mandate, "revoked", self.clock())
        return revoked

    async def _named(self, customer: str, terms: MandateTerms) -> list[KnownPayee]:
        """The payees whom the terms name; each must be one whom the customer knows."""
        if terms.day.currency != terms.payment.currency:
            raise RequestFault(Fault.INVALID_REQUEST, "per_payment and per_day are in one currency", param="per_day")
        if not 1 <= terms.days <= LONGEST.days:
            raise RequestFault(Fault.INVALID_REQUEST, f"days lies between 1 and {LONGEST.days}", param="days")
        payees = await self._known(customer)
        named = []
        for account in terms.payees or ():
            named_by = {account, canonical(Scheme.ACCOUNT, account)}
            payee = next((payee for payee in payees if named_by & {payee.key, payee.identifier}), None)
            if payee is None or payee.known_since is None:
                raise RequestFault(Fault.INVALID_REQUEST, "a payee whom you have not paid yet cannot be in it", param="payees")
            named.append(payee)
        return named

    async def _account(self, customer: str, terms: MandateTerms) -> Account | None:
        """The account that the terms name: open, the customer's own, in the currency of the payments."""
        if terms.account is None:
            return None
        wanted = canonical(Scheme.ACCOUNT, terms.account)
        for account in await self.accounts(customer):
            if account.status == "open" and account.currency == terms.payment.currency and wanted in account.written:
                return account
        message = "the account must be an open one of your own, in the currency of the payments"
        raise RequestFault(Fault.INVALID_REQUEST, message, param="account")

    async def _known(self, customer: str) -> list[KnownPayee]:
        paying = (function for function in self.functions if any(argument.kind is Kind.PAYEE for argument in function.arguments))
        try:
            questions = dict.fromkeys(item.acquaintance for item in paying)
            acquaintances = [await acquaintance_of(self.core, customer) for acquaintance_of in questions]
        except CoreUnavailable:
            raise Unavailable("core_unavailable") from None
        return [payee for acquaintance in acquaintances for payee in acquaintance.payees]


@dataclass(frozen=True, slots=True)
class _Shown:
    """What terms name, as the customer knows it."""

    payees: Sequence[KnownPayee]
    account: Account | None
    agent_name: str | None


def _proposal(mandate: StandingMandate, terms: MandateTerms, named: _Shown, bundle: str, now: datetime) -> Proposal:
    shown: list[Json] = [{"name": payee.name, "identifier": readable(payee.identifier or payee.key)} for payee in named.payees]
    account = named.account
    content: dict[str, Json] = {
        "call_ids": [],
        "agent": terms.agent,
        "agent_name": named.agent_name,
        "calls": [],
        "mandate": {
            "id": mandate.id,
            "title": "From now on your assistant may pay without asking you, within these bounds.",
            "payees": shown if terms.payees is not None else "everyone whom you have paid before",
            "account": None if account is None else {"name": account.name, "identifier": number_of(account)},
            "per_payment": {"value": terms.payment.value, "currency": terms.payment.currency},
            "per_day": {"value": terms.day.value, "currency": terms.day.currency},
            "payments_per_day": terms.day_count,
            "from": mandate.starts.isoformat(),
            "until": mandate.ends.isoformat(),
            "exactly": mandate.canonical().decode(),
        },
        "total": None,
        "warnings": [],
    }
    return drawn_up(
        content,
        confirmation=new_id(secrets.token_bytes(16)),
        customer=mandate.customer,
        agent=None,
        level=3,
        moves_money=False,
        bundle=bundle,
        now=now,
    )
