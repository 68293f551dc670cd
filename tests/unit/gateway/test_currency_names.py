"""The names and signs of currencies are those of CLDR."""

from tests.support.currency_names import FILE, made


def test_the_table_is_what_cldr_says() -> None:
    assert FILE.read_text() == made(), "run: python -m tests.support.currency_names --write"
