"""Arguments that the functions of the catalogue take, where one that is right by its type alone would not do."""

from collections.abc import Mapping

from adapters.function import Value

FITTING: Mapping[str, Mapping[str, Value]] = {
    "add_beneficiary": {"name": "Jon Smithe", "identifier": "60161331926819"},
    "get_fx_quote": {"from": "GBP", "to": "EUR"},
    "get_product_terms": {"product": "current"},
    "get_statement": {"period": "2026-02"},
    "verify_payee": {"name": "Jon Smithe", "identifier": "60161331926819"},
}
"""By function and argument. Amounts are in GBP everywhere."""
