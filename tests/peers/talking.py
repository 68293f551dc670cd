"""What each client in Python is put through, whatever it is called: one body of cases over what a client's own file says of how to talk.

A client's `talk.py` has a class of `Talk` for each door that it speaks, and calls `main` with them. Prints one line of JSON for each case.
A payment that is held is told in a line of its own; then a line of input is waited for, so that the customer can confirm it.
"""

import asyncio
import contextlib
import io
import json
import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

BANKING = ("list_accounts", "get_account_balance", "list_cards", "list_beneficiaries", "initiate_transfer")
BALANCE, PARALLEL, APP = "What is my balance?", "What do I have?", "Show me my payments."

_told = os.fdopen(os.dup(1), "w", buffering=1)  # what a client prints by itself goes elsewhere


@dataclass(frozen=True)
class Place:
    """Where a gateway is, and with which tokens it is talked to. `words`: the customer's own; `agent`: one of an agent, for the Model
    Context Protocol, where the `model` is the
    app's own; `payee`: whom this customer pays."""

    url: str
    words: str
    agent: str
    model: str
    payee: str

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"


class Talk:
    """A conversation of a client with the gateway. `client` and `door` are what the guide calls them."""

    client: ClassVar[str]
    door: ClassVar[str]

    def __init__(self, place: Place) -> None:
        self.place = place
        self.shown: list[str] = []
        """What the app's own function was asked for."""

    async def begin(self) -> None:
        """What comes before the first question, if anything does."""

    async def ask(self, words: str) -> str:
        """The answer to the next words of the customer."""
        raise NotImplementedError

    async def stream(self, words: str) -> Sequence[str]:
        """The same in the pieces in which it came."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of what was opened."""

    def page(self) -> str | None:
        """Where the customer confirms what is held, as far as the client shows it."""
        return None

    def show_screen(self, screen: str) -> str:
        """Opens a screen of the app."""
        self.shown.append(screen)
        return json.dumps({"shown": screen})


def never(name: str) -> Callable[..., str]:
    """A banking function as the app declares it: the gateway executes it, and it is never asked of the client."""

    def called() -> str:
        raise AssertionError(f"{name} was asked of the client")

    called.__name__, called.__doc__ = name, "The bank's own."
    return called


async def _balance(talk: Talk, _: str) -> dict[str, Any]:
    return {"text": await talk.ask(BALANCE)}


async def _parallel(talk: Talk, _: str) -> dict[str, Any]:
    return {"text": await talk.ask(PARALLEL)}


async def _app(talk: Talk, _: str) -> dict[str, Any]:
    return {"text": await talk.ask(APP)}


async def _held(talk: Talk, value: str) -> dict[str, Any]:
    text = await talk.ask(f"Please pay £{value} to {talk.place.payee}")
    _line({"held": text, "page": talk.page()})
    await asyncio.to_thread(sys.stdin.readline)
    return {"text": text, "page": talk.page(), "value": value, "after": await talk.ask(BALANCE)}


async def _streaming(talk: Talk, _: str) -> dict[str, Any]:
    pieces = [piece for piece in await talk.stream(APP) if piece]
    return {"text": "".join(pieces), "pieces": len(pieces)}


CASES: Mapping[str, Callable[[Talk, str], Awaitable[dict[str, Any]]]] = {
    "balance": _balance,
    "parallel": _parallel,
    "app": _app,
    "streaming": _streaming,
    "held": _held,
}


def main(*talks: type[Talk]) -> None:
    """Put each through every case: PLACE is the argument, as JSON. A case that raises is told as such, and the next begins. No two payments
    of a customer are alike."""
    place = Place(**json.loads(sys.argv[1]))
    with contextlib.redirect_stdout(io.StringIO()):
        asyncio.run(_played(place, talks))


async def _played(place: Place, talks: Sequence[type[Talk]]) -> None:
    first = 10 * len(talks)
    for number, talk in enumerate(talks):
        for name, case in CASES.items():
            started, made = time.monotonic(), talk(place)
            saw: dict[str, Any] = {}
            try:
                async with asyncio.timeout(45):
                    await made.begin()
                    saw = await case(made, f"{20 + first + number}.00")
            except Exception as error:  # noqa: BLE001  a client's own error is what this is to find out
                saw = {"error": f"{type(error).__name__}: {error}"[:500], "where": traceback.format_exc()[-1500:]}
            finally:
                with contextlib.suppress(Exception):
                    await made.close()
            took = round(time.monotonic() - started, 2)
            _line({"client": talk.client, "door": talk.door, "case": name, "shown": made.shown, "took_s": took, **saw})
    _line({"saw": True})


def _line(told: Mapping[str, Any]) -> None:
    _told.write(json.dumps(told) + "\n")
    _told.flush()
