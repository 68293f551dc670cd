"""The console's texts, by key, from one file of each language: `gateway/console/audit/en.json`. Another language is another file."""

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

LANGUAGE = "en"


@lru_cache(maxsize=4)
def catalogue(language: str = LANGUAGE) -> Mapping[str, str]:
    """Every text of the console in this language. FileNotFoundError for a language without a file."""
    known: dict[str, str] = json.loads((files("gateway") / "console" / "audit" / f"{language}.json").read_text())
    return known


def said(key: str, **values: object) -> str:
    """The text of this key with these values in it. KeyError for a key that the catalogue does not have: a test looks at each."""
    return catalogue()[key].format_map(values)


def said_of(key: str, otherwise: str) -> str:
    """The text of a key that is made of what a record says; `otherwise` where no text was written for it."""
    return catalogue().get(key, otherwise)


def said_within(prefix: str) -> Mapping[str, str]:
    """Texts for a script: those whose keys begin so, by the rest of their keys."""
    return {key.removeprefix(prefix): text for key, text in catalogue().items() if key.startswith(prefix)}
