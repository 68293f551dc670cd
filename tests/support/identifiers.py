"""Identifiers of all kinds, made from the rules of their standards, and look-alikes that are none. For tests and benchmarks."""

from collections.abc import Callable
from random import Random

DIGITS = "0123456789"
IBAN_SHAPES = {
    "GB": "aaaannnnnnnnnnnnnn",
    "DE": "n" * 18,
    "IT": "annnnnnnnnncccccccccccc",
    "BH": "aaaacccccccccccccc",
    "NO": "n" * 11,
}


def digits(random: Random, count: int) -> str:
    return "".join(random.choices(DIGITS, k=count))


def grouped(random: Random, text: str, size: int = 4) -> str:
    """As people write it: in groups with a separator, or not."""
    separator = random.choice(["", " ", " ", "-"])
    return separator.join(text[at : at + size] for at in range(0, len(text), size))


def an_iban(random: Random) -> str:
    country = random.choice(sorted(IBAN_SHAPES))
    letters = {"a": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "n": DIGITS, "c": "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + DIGITS}
    basic = "".join(random.choice(letters[kind]) for kind in IBAN_SHAPES[country])
    number = int("".join(str(int(letter, 36)) for letter in f"{basic}{country}00"))
    written = grouped(random, f"{country}{98 - number % 97:02d}{basic}")
    return written.lower() if random.random() < 0.2 else written


def a_card(random: Random) -> str:
    head, length = random.choice([("4", 16), ("51", 16), ("2221", 16), ("37", 15), ("6011", 16), ("3530", 16), ("36", 14)])
    body = head + digits(random, length - len(head) - 1)
    return grouped(random, body + luhn_digit(body))


def luhn_digit(body: str) -> str:
    doubled = sum(sum(divmod(2 * int(digit), 10)) if at % 2 == 0 else int(digit) for at, digit in enumerate(reversed(body)))
    return str(-doubled % 10)


def a_uk_account(random: Random) -> str:
    pairs, number = [digits(random, 2) for _ in range(3)], digits(random, 8)
    sort_code = random.choice(["-", " ", "-"]).join(pairs)
    return random.choice(
        [f"{sort_code} {number}", f"{sort_code} a/c {number}", f"{''.join(pairs)} {number}", f"account number {number}"]
    )


def a_phone(random: Random) -> str:
    return random.choice(
        [
            f"+44 7{digits(random, 3)} {digits(random, 6)}",
            f"+{random.choice(['1', '39', '49', '973'])}{digits(random, 9)}",
            f"07{digits(random, 9)}",
            f"0{random.choice('127')}{digits(random, 3)} {digits(random, 6)}",
            f"(020) {digits(random, 4)} {digits(random, 4)}",
        ]
    )


def an_email(random: Random) -> str:
    name = "".join(random.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=random.randint(2, 10)))
    host = random.choice(["example.org", "mail.example.co.uk", "bank-help.example", "xn--bcher-kva.example"])
    return f"{name}{random.choice(['', '.x', '+tag', '_1'])}@{host}"


IDENTIFIERS: dict[str, Callable[[Random], str]] = {
    "[iban]": an_iban,
    "[card number]": a_card,
    "[account number]": a_uk_account,
    "[phone number]": a_phone,
    "[e-mail]": an_email,
}

HARD: dict[str, Callable[[Random], str]] = {
    "card digit by digit": lambda random: " ".join(a_card(random).replace(" ", "").replace("-", "")),
    "IBAN with dots": lambda random: an_iban(random).replace(" ", ".").replace("-", "."),
    "IBAN in a word": lambda random: "IBAN" + an_iban(random).replace(" ", "").replace("-", "") + "OK",
    "full-width digits": lambda random: a_card(random).translate({ord(digit): 0xFF10 + int(digit) for digit in DIGITS}),
    "Arabic-Indic digits": lambda random: a_phone(random).translate({ord(digit): 0x660 + int(digit) for digit in DIGITS}),
    "zero-width joiners": lambda random: "\u200d".join(a_card(random)),
    "sort code and account as one number": lambda random: digits(random, 14),
    "eight digits alone": lambda random: digits(random, 8),
    "national phone of another country": lambda random: f"33{digits(random, 8)}",
    "e-mail in words": lambda random: an_email(random).replace("@", " at ").replace(".", " dot "),
    "digits in words": lambda random: " ".join(random.choices(["one", "two", "three", "four", "five"], k=16)),
}
"""Spellings that a standard does not know: the known gaps, and what cleaning undoes."""


def _not_a_card(random: Random) -> str:
    body = "4" + digits(random, 14)
    return body + str((int(luhn_digit(body)) + random.randint(1, 9)) % 10)


def _not_an_iban(random: Random) -> str:
    return f"GB{digits(random, 2)}ORDR{digits(random, 14)}"


LOOKALIKES: dict[str, Callable[[Random], str]] = {
    "order number": lambda random: f"order {random.choice('123456789')}{digits(random, random.choice([5, 7, 8, 9]))}",
    "sixteen digits without a check digit": _not_a_card,
    "letters and digits in an IBAN's shape": _not_an_iban,
    "amount": lambda random: f"GBP {random.randint(1, 999)},{digits(random, 3)}.{digits(random, 2)}",
    "day": lambda random: f"2026-{random.randint(1, 12):02d}-{random.randint(1, 28):02d}",
    "UK day and invoice": lambda random: f"{random.randint(1, 28):02d}-{random.randint(1, 12):02d}-26 INV {digits(random, 8)}",
    "time": lambda random: f"2026-03-{random.randint(1, 28):02d}T{random.randint(10, 23)}:{digits(random, 1)}0:00Z",
    "card's last four": lambda random: f"CARD {digits(random, 4)} GREENFIELD MKT",
    "mandate": lambda random: f"DD 00{digits(random, 5)}",
    "handle": lambda random: f"@{random.choice(['shop', 'cafe', 'tax'])}{digits(random, 2)} thanks",
    "tracking number": lambda random: f"1Z{digits(random, 6)}A{digits(random, 4)}",
    "version": lambda random: f"v{random.randint(1, 9)}.{random.randint(0, 20)}.{random.randint(0, 400)}",
    "coordinates": lambda random: f"51.{digits(random, 4)}, 0.{digits(random, 4)}",
    "sixteen random digits": lambda random: digits(random, 16),
    "account in words": lambda random: f"account manager since {random.randint(1990, 2025)}",
}

AMBIGUOUS: dict[str, Callable[[Random], str]] = {
    "day and number": lambda random: f"{random.randint(1, 28):02d}-{random.randint(1, 12):02d}-26 {digits(random, 8)}",
    "order number like a phone": lambda random: f"order 0{random.choice('123456789')}{digits(random, 8)}",
    "sixteen digits with a check digit": lambda random: f"order {a_card(random).replace('-', '').replace(' ', '')}",
}
"""No identifiers, but spelled exactly like one: masked on purpose."""

AROUND = ("", "please pay ", "SYSTEM: transfer to ", "ref ", "call or write: ", "12 x ", "Thanks! ", "IMPORTANT, new details: ")
AFTER = ("", " thanks", ".", ", today", " by 12/27", " (urgent)", " for 3 items")


def sentence(random: Random, core: str) -> tuple[str, int]:
    """The core in some words, and where it begins."""
    before = random.choice(AROUND)
    return before + core + random.choice(AFTER), len(before)
