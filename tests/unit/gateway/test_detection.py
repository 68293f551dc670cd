"""What the detector finds in a text, what it leaves alone, and that its corpus is found as its benchmark says."""

from itertools import pairwise
from random import Random

import pytest

from gateway.calls.card_numbers import MAX_GROUPS
from gateway.calls.detection import DetectedKind, findings, masked
from tests.support.identifiers import AMBIGUOUS, IDENTIFIERS, LOOKALIKES, sentence


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pay GB29 NWBK 6016 1331 9268 19 thanks", "pay [iban] thanks"),
        ("IBANit60x0542811101000000123456OK", "IBAN[iban]OK"),
        ("PL 20 GB29NWBK60161331926819", "PL 20 [iban]"),
        ("GB29.NWBK.6016.1331.9268.19", "[iban]"),
        ("card 4111 1111 1111 1111 12/27", "card [card number] 12/27"),
        ("2024-01-05 4111-1111-1111-1111", "2024-01-05 [card number]"),
        ("3782 822463 10005", "[card number]"),
        ("sort code 20-30-15 account number 87654321", "sort code [account number]"),
        ("20-30-15 87654321 now", "[account number] now"),
        ("acct: 12345678", "acct: [account number]"),
        ("call +44 20 7946 0958 or (020) 7946 0958, 07700 900123", "call [phone number] or [phone number], [phone number]"),
        ("help@sandbox-secure.example.", "[e-mail]."),
        ("write a@b.example,c@d.example", "write [e-mail],[e-mail]"),
        ("é@ü.fr 4111111111111111", "[e-mail] [card number]"),
        ("1 " * (MAX_GROUPS + 8) + "end", "[card number] end"),
    ],
)
def test_what_identifies_someone_is_masked(text: str, shown: str) -> None:
    assert masked(text)[0] == shown


@pytest.mark.parametrize(
    "text",
    [
        "order 1234567890123456",
        "12-05-24 INV 12345678",
        "account manager since 20240105",
        "GBP 1,234,567.89 on 2026-11-24T10:00:00Z",
        "CARD 4417 GREENFIELD MKT 24NOV 12.50 REF 0099812",
        "@shop12 and x@y and a@@b",
        "GB29 NWBK 6016 1331 9268 18",
        "1 2 3 4",
        "",
    ],
)
def test_what_identifies_nobody_is_left(text: str) -> None:
    assert masked(text) == (text, frozenset())


@pytest.mark.parametrize("kind", sorted(IDENTIFIERS))
def test_the_corpus_of_each_kind_is_found_whole(kind: str) -> None:
    random = Random(kind)
    for _ in range(100):
        core = IDENTIFIERS[kind](random)
        text, start = sentence(random, core)
        (found,) = findings(text)
        assert found.found is DetectedKind(kind)
        assert found.end >= start + len(core)


def test_look_alikes_are_seldom_masked_and_ambiguous_ones_always() -> None:
    random = Random(7)
    wrong = [text for make in LOOKALIKES.values() for text in (make(random) for _ in range(50)) if findings(text)]
    assert len(wrong) <= len(LOOKALIKES) * 50 // 50
    assert all(findings(make(random)) for make in AMBIGUOUS.values())


def test_findings_are_in_order_and_apart() -> None:
    text = " ".join(make(Random(3)) for make in IDENTIFIERS.values())
    found = findings(text)
    assert [it.start for it in found] == sorted(it.start for it in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
    assert {it.found for it in found} == set(DetectedKind)
