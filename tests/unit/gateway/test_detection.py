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
        ("account 12345678 2026-12-24 10:30 1,234.56", "account [account number] 2026-12-24 10:30 1,234.56"),
        ("+44 20 7946 0958 24.12.2026", "[phone number] 24.12.2026"),
        ("5,02079460958,12.50", "5,[phone number],12.50"),
        ("+49 (0)30 12345678, 07700 900123", "[phone number], [phone number]"),
        ('{"sort_code":"20-30-15","account_number":"12345678"}', '{"sort_code":"[account number]"}'),
        ("2200 1234 5678 9019, 9792 0312 3456 7897 or 6521 5000 0000 0006", "[card number], [card number] or [card number]"),
        ("4111,1111,1111,1111 or 4111/1111/1111/1111 or 4111_1111_1111_1111", "[card number] or [card number] or [card number]"),
        ("4111 1111\n1111 1111", "[card number]"),
        ("anna@xn--bcher-kva.xn--p1ai", "[e-mail]"),
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
        "2026-12-24 1234.56 2026-12-25 99.10",
        "24/12/2026 1.234,56 03.05.26 0,20",
        "the rate is 193.0012345678, was 1,0834 and 4.75 %",
        "05/12 1.234,56\n06/12 4.500,00",
        "12:30:45 20261224 and 1 234 567,89 kr, CHF 1'234.50, ₹12,34,567.89",
        "08.11. 2.559.803\n08.10. 2.235.170",
        "2026-08-15,1438,JPY,****5842,1438\n2026-07-15,1812,JPY,****5842,1812",
        "[12,15,30,41,55,12,18,20,33,47,51]",
        "+999 1234 5678",
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
