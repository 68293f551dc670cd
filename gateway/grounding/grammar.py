"""The tables of a language: phrases as they stand in its files, found in tokens. One folder a language; English is the first. Pure."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from gateway.grounding.tokens import Piece, Token, tokens


class Phrases:
    """A closed list of phrases. The longest one that begins at a token is the one that stands there."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for phrase in phrases:
            words = tuple(piece.text for piece in tokens(phrase))
            self._by_first.setdefault(words[0], []).append(words[1:])
        for rests in self._by_first.values():
            rests.sort(key=len, reverse=True)

    def ends(self, pieces: Sequence[Piece], at: int) -> list[int]:
        """Where the phrases that begin here end, the longest first."""
        if at >= len(pieces):
            return []
        rests = self._by_first.get(pieces[at].text, ())
        return [at + 1 + len(rest) for rest in rests if _follows(pieces, at + 1, rest)]

    def end(self, pieces: Sequence[Piece], at: int) -> int | None:
        """Where the longest phrase that begins here ends; None if none does."""
        ends = self.ends(pieces, at)
        return ends[0] if ends else None

    def words(self) -> frozenset[str]:
        """Every word of every phrase."""
        return frozenset(self._by_first) | {word for rests in self._by_first.values() for rest in rests for word in rest}


def _follows(pieces: Sequence[Piece], at: int, rest: tuple[str, ...]) -> bool:
    return len(pieces) - at >= len(rest) and all(pieces[at + offset].text == word for offset, word in enumerate(rest))


class Language:
    """What the files of one language say. Their comments say what each list is for."""

    def __init__(self, folder: str) -> None:
        where = files("gateway.grounding") / folder
        grammar, closed, currencies = (
            tomllib.loads((where / name).read_text(encoding="utf-8")) for name in ("grammar.toml", "closed.toml", "currencies.toml")
        )
        self.courtesy = Phrases(grammar["courtesy"]["phrases"])
        self.joining = Phrases(grammar["joining"]["phrases"])
        self.asking = Phrases(grammar["asking"]["phrases"])
        self.answering = Phrases(grammar["answering"]["phrases"])
        self.questions = Phrases(grammar["questions"]["phrases"])
        self.verbs = {act: Phrases(said.get("verbs", ())) for act, said in grammar["acts"].items()}
        self.nouns = {act: Phrases(said.get("nouns", ())) for act, said in grammar["acts"].items()}
        self.particles, self.open_words = (Phrases(grammar["acts"]["pay"][name]) for name in ("particles", "open"))
        self.answers = Phrases(grammar["answers"]["phrases"])
        self.mentions = tuple(tuple(form.split()) for form in grammar["mentions"]["forms"])
        self.slots = {slot: Phrases(phrases) for slot, phrases in grammar["slots"].items()}
        self.accounts = Phrases(grammar["accounts"]["phrases"])
        self.relations = frozenset(grammar["relations"]["phrases"])
        self.determiners = frozenset(grammar["relations"]["determiners"])
        back = grammar["taking_back"]
        self.taking_back, self.taken_objects, self.taken_names = (Phrases(back[name]) for name in ("phrases", "objects", "names"))
        self.everything, self.back_fillers = Phrases(back["everything"]), Phrases(back["fillers"])
        self.correcting, self.instead = (Phrases(grammar["correcting"][name]) for name in ("phrases", "instead"))
        days = grammar["days"]
        self.today, self.tomorrow, self.after_tomorrow = (Phrases(days[name]) for name in ("today", "tomorrow", "after_tomorrow"))
        self.weekdays = {name: number for number, name in enumerate(days["weekdays"])}
        self.months = {name: number for number, names in enumerate(days["months"], 1) for name in names}
        self.frequencies = {name: Phrases(phrases) for name, phrases in grammar["frequencies"].items()}
        self.units = _Units(grammar["money"], currencies)
        self.classes: Mapping[str, frozenset[str]] = {
            name: frozenset(said["words"]) for name, said in closed.items() if isinstance(said, dict)
        }
        self.spoiling = frozenset().union(*(words for name, words in self.classes.items() if name != "function"))
        self.in_text = frozenset(closed["in_text"])
        self.closed = frozenset().union(*self.classes.values()) - self.in_text
        self.known = self._vocabulary(grammar)
        self.taken = self.known | self._other_words()
        """Every word that the grammar takes anywhere but in names and free text."""

    def _vocabulary(self, grammar: Mapping[str, Any]) -> frozenset[str]:
        """Every word that the grammar takes somewhere, but in names and in free text: of orders."""
        lists = (
            self.courtesy,
            self.joining,
            self.asking,
            *self.verbs.values(),
            *self.nouns.values(),
            self.particles,
            self.open_words,
            self.accounts,
        )
        phrases = (*lists, *self.slots.values(), *self.frequencies.values(), self.today, self.tomorrow, self.after_tomorrow)
        words = frozenset().union(*(item.words() for item in phrases))
        return words | set(self.weekdays) | set(self.months) | self.units.words() | self.determiners | self.relations | self.in_text

    def _other_words(self) -> frozenset[str]:
        """Of clauses that are no orders."""
        lists = (self.answering, self.questions, self.taking_back, self.taken_objects, self.taken_names, self.everything)
        more = (*lists, self.back_fillers, self.correcting, self.instead, self.answers)
        mentions = {word for form in self.mentions for word in form} - {"PAYEE", "AMOUNT"}
        return frozenset().union(mentions, {"instead", "not", "this"}, *(phrases.words() for phrases in more))


class _Units:
    """Units and scales of amounts."""

    def __init__(self, money: Mapping[str, Any], currencies: Mapping[str, Any]) -> None:
        self.signs: Mapping[str, tuple[str, ...]] = {sign: tuple(codes) for sign, codes in currencies["signs"].items()}
        names = {name: tuple(codes) for name, codes in currencies["names"].items()}
        names |= {name: (code,) for name, code in money["colloquial"].items()}
        self.codes = {code.lower(): (code,) for codes in currencies["names"].values() for code in codes}
        self._names = {tuple(name.split()): codes for name, codes in names.items()}
        self._longest = max(map(len, self._names))
        self.minor: Mapping[str, tuple[str, ...]] = {name: tuple(codes) for name, codes in money["minor"].items()}
        self.scales: Mapping[str, int] = money["scales"]
        units, tens = money["units"], money["tens"]
        self.numerals = {word: number for number, word in enumerate(units)} | {
            word: 10 * number for number, word in enumerate(tens, 2)
        }

    def named(self, pieces: Sequence[Piece], at: int) -> tuple[tuple[str, ...], int] | None:
        """The currencies that a name or code means which begins here, and where it ends."""
        for length in range(min(self._longest, len(pieces) - at), 0, -1):
            words = tuple(piece.text for piece in pieces[at : at + length])
            codes = self._names.get(words)
            if codes is not None:
                return codes, at + length
        if at < len(pieces) and pieces[at].kind is Token.WORD and pieces[at].text in self.codes:
            return self.codes[pieces[at].text], at + 1
        return None

    def words(self) -> frozenset[str]:
        names = {word for words in self._names for word in words}
        return frozenset({*self.signs, *names, *self.codes, *self.minor, *self.scales, *self.numerals})


ENGLISH = Language("english")
