"""What the customer wrote is read once, when it is heard: off the event loop, one message after the other, and never by a call."""

import asyncio
import os
import time
from collections import OrderedDict
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

RESTS = 4
"""After a message a customer's next one waits for so many times as long as it took: a flood of one customer's takes a fifth of the reader,
and of the interpreter's time that the loop wants too. Who writes one message waits for nothing."""

_KNOWN_MOST = 65_536
_next_s: OrderedDict[str, float] = OrderedDict()
"""From when on a customer's next message may be read, by the loop's clock; those of the past are forgotten as new ones come."""


async def heard(customer: str, messages: Sequence[tuple[str, str]]) -> tuple[HeardMessage, ...]:
    """Each message (text, origin) with its reading, if it was typed. The work is bounded by `reader`, whatever the text says.

    One message of a customer waits for the reader at a time, so that whoever sends many stands behind everybody else each time.
    """
    async with _turns.setdefault(customer, asyncio.Lock()):
        return tuple(
            [HeardMessage(text, origin, await _reading(customer, text) if origin == _TYPED else None) for text, origin in messages]
        )


async def _reading(customer: str, text: str) -> str:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(max(0.0, _next_s.pop(customer, 0.0) - loop.time()))
    reading, took_s = await loop.run_in_executor(_reader(), _read, text)
    _next_s[customer] = loop.time() + RESTS * took_s
    if len(_next_s) > _KNOWN_MOST:
        _next_s.popitem(last=False)
    return reading


def _read(text: str) -> tuple[str, float]:
    """The reading, and the processor's time that it took."""
    began_s = time.thread_time()
    return read(text).written(), time.thread_time() - began_s
