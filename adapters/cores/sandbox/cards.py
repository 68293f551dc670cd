"""Cards: frozen and thawed, and closed for good, with a new one in their place."""

import hashlib

from adapters.core import CloseCard, Declined, Done, FreezeCard, Identified, Instruction, ReferenceKind, UnfreezeCard
from adapters.cores.sandbox.cases import open_case
from adapters.cores.sandbox.group import Group, Row
from adapters.cores.sandbox.ledger import name_for
from adapters.cores.sandbox.tables import micros


def freeze(group: Group, told: Instruction, order: FreezeCard) -> Done | Declined:
    """Freeze a card, unless it is over."""
    row = group.cards.get(order.card.id)
    if row is None or not group.owns(told.customer, row["account"]):
        return Declined("AC01")
    if row["status"] in {"expired", "closed"}:
        return Declined("AG01")
    if row["status"] != "frozen":
        group.move_card(row, "frozen")
    return Done({"card": order.card, "status": "frozen"})


def unfreeze(group: Group, told: Instruction, order: UnfreezeCard) -> Done | Declined:
    """Give a card the status back that it was frozen in: one that was ordered does not come into use by this."""
    row = group.cards.get(order.card.id)
    if row is None or not group.owns(told.customer, row["account"]):
        return Declined("AC01")
    if row["status"] in {"expired", "closed"}:
        return Declined("AG01")
    if row["status"] == "frozen":
        group.move_card(row, row["thawed"])
    return Done({"card": order.card, "status": row["status"], "last4": row["last4"]})


def close(group: Group, told: Instruction, order: CloseCard) -> Done | Declined:
    """Close a card for good, and order one replacement."""
    row = group.cards.get(order.card.id)
    if row is None or not group.owns(told.customer, row["account"]):
        return Declined("AC01")
    if row["status"] == "expired":
        return Declined("AG01")
    if row["status"] != "closed":
        group.move_card(row, "closed")
        group.replace_card(row, _replacement(group, told, row))
        open_case(group, told, "card", order.card, order.reason)
    replacement = Identified(ReferenceKind.CARD, group.replacements[row["id"]])
    return Done({"card": order.card, "status": "closed", "replacement": replacement})


def _replacement(group: Group, told: Instruction, row: Row) -> Row:
    """A card with a number of its own, for the same holder; where it is sent is nobody's word but the bank's file."""
    last4 = int.from_bytes(hashlib.sha256(f"card {told.key}".encode()).digest()[:4], "big") % 10_000
    return {
        "id": name_for("k", micros(group.now), told.key),
        "account": row["account"],
        "last4": f"{last4:04d}",
        "scheme": row["scheme"],
        "status": "ordered",
        "thawed": "ordered",
        "holder": row["holder"],
        "replaces": row["id"],
    }
