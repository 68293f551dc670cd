"""The one place that knows RE2: regular expressions in linear time, whatever text they meet. RE2's package is untyped."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]


def is_whole(expression: str, text: str) -> bool:
    """Whether `expression` matches all of `text`. ValueError for an expression that RE2 does not take."""
    return _compiled(expression).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(expression, options)
    except re2.error as refused:
        raise ValueError("RE2 does not take an expression") from refused


class LinearRegexes:
    """Compiled RE2 expressions that are tried together: one pass tells which of them match at all, and most match nothing.

    ValueError for an expression that RE2 does not take.
    """

    __slots__ = ("_any", "_each")

    def __init__(self, expressions: Sequence[str]) -> None:
        options = re2.Options()
        options.log_errors = False
        self._any = re2.Set.SearchSet(options)
        try:
            self._each = [re2.compile(expression, options) for expression in expressions]
        except re2.error as refused:
            raise ValueError("RE2 does not take an expression") from refused
        for expression in expressions:
            self._any.Add(expression)
        self._any.Compile()

    def matching(self, text: str) -> frozenset[int]:
        """Which of the expressions, by position, match somewhere in `text`."""
        return frozenset(self._any.Match(text) or ())

    def spans(self, which: int, text: str) -> Iterator[tuple[int, int]]:
        """Where the expression at this position matches, without overlap, from left to right."""
        for match in self._each[which].finditer(text):
            yield match.span()

    def first(self, which: int, text: str, start: int) -> tuple[int, int] | None:
        """Where it matches first, from `start` on."""
        match = self._each[which].search(text, start)
        return None if match is None else match.span()
