"""JSON as nobody should write it: tokens in the place of a value, and names where none was expected."""

import json
import random
from typing import Any

_MARK = "\u0000here\u0000"

TOKENS: tuple[bytes, ...] = (
    *(b"0", b"1", b"2", b"-0", b"-1", b"1.0", b"1e0", b"1E400", b"-0.0", b"01", b"+1", b".5", b"1.", b"0x1", b" 1", b"1 ", b"1_0"),
    *(b"9007199254740991", b"9007199254740992", b"-9007199254740991", b"-9007199254740992", b"9" * 25, b"9" * 4300, b"9" * 5000),
    *(b"NaN", b"Infinity", b"-Infinity", b"true", b"false", b"null", b"True", b"nul", b"undefined", b"", b"'x'"),
    *(
        b'""',
        b'"x"',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\\ud83d\\ude00"',
        b'"\\u00e9"',
        b'"\\u00E9"',
        b'"\\u0000"',
        b'"\\x"',
        b'"\\',
    ),
    *(b'"\xff"', b'"\xed\xa0\x80"', b'"\xef\xbb\xbf"', b'"\x00"', b'"\t"', b'"\x7f"', b'"\\/"', b'"a\\nb"', b'"a\nb"', b'"\\u12"'),
    *(text.encode() for text in ('"é"', '"😀"', '"\u2028"', '"\ue000"', '"\ufffe"', f'"{"😀" * 255}"', f'"{"😀" * 256}"')),
    *(
        b'"' + b"x" * 255 + b'"',
        b'"' + b"x" * 256 + b'"',
        b'"' + b"x" * 70_000 + b'"',
        b'"' + b"A" * 43 + b'"',
        b'"' + b"a" * 64 + b'"',
    ),
    *(
        b"[]",
        b"{}",
        b"[1]",
        b'["x"]',
        b'["x",1]',
        b"[1,]",
        b'{"a":1}',
        b'{"a":1,"a":1}',
        b'{"a":1,}',
        b'{"a":2,"a":1}',
        b"[" * 3000,
    ),
    *(b'{"b":1,"a":1}', b'{"__proto__":1}', b'{"constructor":"x"}', b'{"commitment":"' + b"A" * 43 + b'"}', b'{"public":1}'),
    *('{"\U00010000":1,"\ue000":2}'.encode(), '{"\ue000":2,"\U00010000":1}'.encode(), b'{"masked":"x","public":"x"}'),
    *(b"[" * depth + b"]" * depth for depth in (2, 60, 97, 98, 99, 100, 101, 102, 600)),
    *(
        b'"2026-11-24T10:00:00.000000Z"',
        b'"2026-11-24T10:00:60.000000Z"',
        b'"2026-02-29T10:00:00.000000Z"',
        b'"2024-02-29T10:00:00.000000Z"',
    ),
    *(
        b'"0000-01-01T00:00:00.000000Z"',
        b'"0001-01-01T00:00:00.000000Z"',
        b'"9999-12-31T23:59:59.999999Z"',
        b'"1969-12-31T23:59:59.000000Z"',
    ),
    *(b'"2026-11-24"', b'"2026-11-24T10:00:00.000000z"', b'"2026-11-24T10:00:00.000000Z\\n"', b'"2026-04-31T10:00:00.000000Z"'),
)

NAMES = (
    "z",
    "",
    "é",
    "a b",
    "__proto__",
    "constructor",
    "toString",
    "\U00010000",
    "\u0000",
    "v",
    "log",
    "facts",
    "bundle",
    "sealed",
)


def respelled(dice: random.Random, found: Any) -> bytes:
    """The canonical form of this value, with a token in the place of one value in it, or one more member."""
    holder: Any = {"": json.loads(json.dumps(found))}
    at: Any = ""
    place = holder
    for _ in range(dice.choice((1, 1, 2, 3, 4))):
        inner = place[at]
        if not isinstance(inner, (dict, list)) or not inner:
            break
        place, at = inner, dice.choice(sorted(inner)) if isinstance(inner, dict) else dice.randrange(len(inner))
    if isinstance(place, dict) and place is not holder and dice.random() < 0.25:
        at = dice.choice(NAMES)
    place[at] = _MARK
    text = json.dumps(holder[""], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return text.replace(json.dumps(_MARK).encode(), dice.choice(TOKENS), 1)
