"""Declarations become functions like any other: closures over one upstream. Nothing but this module makes them."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from adapters.core import Acquaintance, CallUpstream, CoreBank, CoreUnavailable, Order
from adapters.declared.acquaintance import acquaintance_of
from adapters.declared.conversion import NotAnAnswer, output_of
from adapters.declared.declarations import ArgumentPlace, Declared, Manifest
from adapters.declared.paths import NotASegment
from adapters.declared.requests import canonical_text, request_of
from adapters.declared.upstream import Upstream, unusable
from adapters.function import Arguments, Asker, BankingFunction, Effect, EffectFunction, Kind, ReadFunction, Unfit, lists_of

Acquainted = Callable[[CoreBank, str], Awaitable[Acquaintance]]


def functions_of(manifest: Manifest, upstream: Upstream) -> tuple[BankingFunction, ...]:
    """The declared functions, sorted by name."""
    facts = manifest.facts
    grounded = [item for item in manifest.functions if _is_grounded(item)]
    lists = frozenset(name for item in grounded for name in _lists(item))
    ask = partial(partial, acquaintance_of, payee_scheme=facts.payee_scheme, upstream=upstream)
    whole = ask(facts.asked_for(lists, alone=False))  # one question, which all of them share
    return tuple(
        _function(item, manifest.digest, upstream, whole if item in grounded else ask(facts.asked_for(_lists(item), alone=True)))
        for item in sorted(manifest.functions, key=lambda item: item.name)
    )


def _is_grounded(declared: Declared) -> bool:
    """Whether its arguments are weighed against all that is known of the customer. Of others, only whose their objects are is asked."""
    kinds = {item.argument.kind for item in declared.sent}
    return declared.effect in (Effect.WRITE, Effect.IRREVERSIBLE) or declared.egress or bool(kinds & {Kind.PAYEE, Kind.DOCUMENT})


def _lists(declared: Declared) -> frozenset[str]:
    return frozenset(name for item in declared.sent for name in lists_of(declared.effect, item.argument))


def _function(declared: Declared, digest: str, upstream: Upstream, acquaintance: Acquainted) -> BankingFunction:
    common: dict[str, object] = {
        "name": declared.name,
        "title": declared.title,
        "summary": declared.summary,
        "arguments": tuple(item.argument for item in declared.sent),
        "output": tuple(field.field for field in declared.answer.fields),
        "effect": declared.effect,
        "level": declared.level,
        "resource": declared.resource,
        "retention": declared.retention,
        "egress": declared.egress,
        "calls_per_hour": declared.calls_per_hour,
        "data_classes": declared.data_classes,
        "acquaintance": acquaintance,
        "origin": digest,
    }
    if declared.effect is Effect.READ:
        return ReadFunction(**common, read=partial(_read, declared, upstream))  # type: ignore[arg-type]
    return EffectFunction(**common, order=partial(_order, declared.name))  # type: ignore[arg-type]


def _order(name: str, arguments: Arguments) -> Order:
    return CallUpstream(name, canonical_text(arguments))


async def _read(
    declared: Declared, upstream: Upstream, _core: CoreBank, asker: Asker, arguments: Arguments
) -> Mapping[str, object] | None:
    try:
        request = request_of(declared, canonical_text(arguments), asker.customer)
    except NotASegment:
        in_path = next((item.argument.name for item in declared.sent if item.place is ArgumentPlace.PATH), None)
        if in_path is None:
            raise CoreUnavailable("a customer that no path may hold") from None
        raise Unfit(in_path, "must be a plain name, without slashes") from None
    response = await upstream.ask(request, asker.customer, timeout_ms=declared.timeout_ms)
    if response.status in declared.gone:
        return None
    try:
        if response.status not in declared.done:
            raise NotAnAnswer(f"status_{response.status}")
        return output_of(declared.answer, response.json(), is_lenient=False)
    except NotAnAnswer as why:
        raise unusable(declared.name, why) from None
