"""What the customer wrote is read once, when it is heard: off the event loop, one message after the other, and never by a call."""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from weakref import WeakValueDictionary

from gateway.domain.facts import HeardMessage
from gateway.grounding.reader import read

_TYPED = "typed"


@cache
def _reader() -> ThreadPoolExecutor:
    """One thread of this process: whoever writes much waits for themselves, and takes no thread from the databases."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="tellergate-reader")


os.register_at_fork(after_in_child=_reader.cache_clear)  # a thread does not live on in a forked process


_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
"""Customers who are being read."""


async def heard(customer: str, messages: Sequence[tuple[str, str]]) -> tuple[HeardMessage, ...]:
    """Each message (text, origin) with its reading, if it was typed. The work is bounded by `reader`, whatever the text says.

    One message of a customer waits for the reader at a time, so that whoever sends many stands behind everybody else each time.
    """
    async with _turns.setdefault(customer, asyncio.Lock()):
        return tuple([HeardMessage(text, origin, await _reading(text) if origin == _TYPED else None) for text, origin in messages])


async def _reading(text: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_reader(), lambda: read(text).written())
