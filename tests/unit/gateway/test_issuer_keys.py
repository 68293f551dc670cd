"""The issuer's keys: which are taken, how long they serve, and what made-up key ids cost."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from gateway.domain.errors import Unavailable
from gateway.domain.principal import Principal
from gateway.identity.compact import Compact, Malformed, encode
from gateway.identity.fetching import MAX_ANSWER_BYTES, Fetcher, NoAnswer, is_safe_url
from gateway.identity.introspection import Introspection
from gateway.identity.jwks import OAUTH, OPENID, Ages, IssuerKeys, RemoteKeys, metadata_url, usable_keys
from gateway.identity.keys import PublicKey, has_private_part, public_key
from tests.support.waiting import wait_until

A, B = (ECKey.generate_key("P-256", {"kid": kid}) for kid in "ab")
AGES = Ages(refresh_s=100, most_s=1000, retry_s=10)


def public(key: Any, **more: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), **more}


class Issuer:
    """Tells its keys, or does not answer; a clock beside it."""

    def __init__(self, *keys: ECKey) -> None:
        self.keys = list(keys)
        self.asked = 0
        self.now = 0.0
        self.is_down = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self) -> Mapping[str, PublicKey]:
        self.asked += 1
        await self.gate.wait()
        if self.is_down:
            raise NoAnswer("down")
        return usable_keys({"keys": [public(key) for key in self.keys]})

    def source(self) -> RemoteKeys:
        return RemoteKeys(self.fetch, AGES, monotonic=lambda: self.now)


async def settled() -> None:
    """Let the tasks that wait for nothing run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_keys_are_fetched_once_and_refreshed_in_the_background() -> None:
    issuer = Issuer(A)
    source = issuer.source()
    found = await asyncio.gather(*(source.find("a") for _ in range(20)))
    assert issuer.asked == 1
    assert len({id(key) for key in found}) == 1
    issuer.now = 101
    issuer.gate.clear()
    assert source.current("a") is found[0], "nobody waits for a refresh of keys that are known"
    await settled()
    assert issuer.asked == 2
    assert source.current("a") is found[0]
    assert issuer.asked == 2, "one at a time"
    issuer.gate.set()
    await settled()
    assert source.current("a") is found[0], "the same key is the same object"


async def test_a_rotated_key_is_found_at_once_and_the_old_one_goes() -> None:
    issuer = Issuer(A)
    source = issuer.source()
    assert await source.find("a")
    issuer.keys, issuer.now = [B], 11
    assert await source.find("b")
    assert source.current("a") is None
    assert await source.find("a") is None


async def test_keys_stay_fresh_although_nobody_asks() -> None:
    issuer = Issuer(A)
    ages = Ages(refresh_s=0.02, most_s=1000, retry_s=0.01)
    source = RemoteKeys(issuer.fetch, ages)
    running = asyncio.ensure_future(source.run())
    await wait_until(lambda: issuer.asked >= 3)
    issuer.keys = [B]
    await wait_until(lambda: source._keys.keys() == {"b"})
    running.cancel()
    await source.close()


async def test_the_same_id_with_another_key_is_another_key() -> None:
    issuer = Issuer(A)
    source = issuer.source()
    before = await source.find("a")
    issuer.keys, issuer.now = [ECKey.import_key({**B.as_dict(private=False), "kid": "a"})], 101
    source.current("a")
    await settled()
    assert source.current("a") not in (None, before)


async def test_made_up_ids_cost_one_question_each_ten_seconds() -> None:
    issuer = Issuer(A)
    source = issuer.source()
    for second in range(100):
        issuer.now = float(second)
        for number in range(50):
            assert await source.find(f"made up {number}") is None
    assert issuer.asked == 10


async def test_while_the_issuer_is_down_known_keys_serve_until_they_are_too_old() -> None:
    issuer = Issuer(A)
    source = issuer.source()
    assert await source.find("a")
    issuer.is_down = True
    issuer.now = 999
    assert source.current("a")
    await settled()
    assert issuer.asked == 2
    assert source.are_held()
    issuer.now = 1001
    assert source.current("a") is None
    assert not source.are_held()
    with pytest.raises(Unavailable):
        await source.find("a")
    with pytest.raises(Unavailable):
        await source.find("made up")
    asked = issuer.asked
    with pytest.raises(Unavailable):
        await source.find("a")
    assert issuer.asked == asked, "not before ten seconds are over"
    issuer.is_down, issuer.now = False, 1012
    assert await source.find("a")


async def test_before_the_first_answer_nothing_is_taken() -> None:
    issuer = Issuer(A)
    issuer.is_down = True
    source = issuer.source()
    with pytest.raises(Unavailable):
        await source.find("a")
    assert not source.are_held()


async def test_a_caller_that_goes_away_does_not_stop_the_refresh() -> None:
    issuer = Issuer(A)
    source = issuer.source()
    issuer.gate.clear()
    waiting = asyncio.ensure_future(source.find("a"))
    await settled()
    waiting.cancel()
    issuer.gate.set()
    await settled()
    assert source.current("a")


def test_keys_that_cannot_be_used_are_left_out() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key().public_numbers()
    members: list[Any] = [
        public(A),
        {**public(B), "kid": "for encryption", "use": "enc"},
        {**public(B), "kid": "for signing", "key_ops": ["sign"]},
        {name: value for name, value in public(B).items() if name != "kid"},
        {**public(B), "kid": 1},
        {**public(B), "kid": "twice"},
        {**public(B), "kid": "twice"},
        {**B.as_dict(private=True), "kid": "private"},
        OctKey.generate_key(256, {"kid": "shared"}).as_dict(private=True),
        {"kty": "RSA", "kid": "short", "n": encode(weak.n.to_bytes(128)), "e": "AQAB"},
        {**public(B), "kid": "off the curve", "y": public(A)["y"]},
        {"kty": "AKP", "kid": "unknown"},
        "not an object",
    ]
    assert set(usable_keys({"keys": members})) == {"a"}


@pytest.mark.parametrize("document", [{}, {"keys": {}}, {"keys": [public(A)] * 65}])
def test_what_is_no_key_set_is_no_answer(document: dict[str, Any]) -> None:
    with pytest.raises(NoAnswer):
        usable_keys(document)


def test_no_key_at_all_is_an_answer() -> None:
    assert usable_keys({"keys": []}) == {}


P = 2**255 - 19
D = (-121665 * pow(121666, P - 2, P)) % P


def times_eight_is_nothing(encoded: bytes) -> bool:
    """Whether a point of Ed25519 is of small order, by doubling it three times (RFC 8032 section 5.1)."""
    y = (int.from_bytes(encoded, "little") & ((1 << 255) - 1)) % P
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - square) % P == 0, "not on the curve"
    for _ in range(3):
        product = D * x * x * y * y % P
        x, y = (2 * x * y * pow(1 + product, P - 2, P)) % P, ((y * y + x * x) * pow(1 - product, P - 2, P)) % P
    return (x, y) == (0, 1)


SMALL = [
    "00" * 32,
    "01" + "00" * 31,
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
]


@pytest.mark.parametrize("sign", [0, 0x80])
@pytest.mark.parametrize("point", SMALL)
def test_a_point_of_small_order_is_no_key(point: str, sign: int) -> None:
    encoded = bytearray.fromhex(point)
    assert times_eight_is_nothing(bytes(encoded))
    encoded[31] |= sign
    with pytest.raises(Malformed, match="small order"):
        public_key({"kty": "OKP", "crv": "Ed25519", "x": encode(bytes(encoded))})


def test_an_ordinary_point_is_a_key() -> None:
    x = OKPKey.generate_key("Ed25519").as_dict(private=False)
    assert not times_eight_is_nothing(bytes.fromhex("58" + "66" * 31)), "the base point"
    assert public_key({name: str(value) for name, value in x.items()}).curve == "Ed25519"


WEAK: dict[str, dict[str, Any]] = {
    "RSA of 1024 bits": {"kty": "RSA", "n": encode((2**1023 + 1).to_bytes(128)), "e": "AQAB"},
    "RSA of 16384 bits": {"kty": "RSA", "n": encode((2**16383 + 1).to_bytes(2048)), "e": "AQAB"},
    "RSA with exponent 3": {**public(RSAKey.generate_key(2048)), "e": "Aw"},
    "RSA with an even exponent": {**public(RSAKey.generate_key(2048)), "e": encode((65538).to_bytes(3))},
    "a curve for agreement": public(OKPKey.generate_key("X25519")),
    "Ed448": public(OKPKey.generate_key("Ed448")),
    "secp256k1": public(ECKey.generate_key("secp256k1")),
    "a short point": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
    "a private key": A.as_dict(private=True),
    "a shared secret": {"kty": "oct", "k": "AAAA"},
    "no type": {},
    "a type that is a list": {"kty": ["EC"]},
    "a coordinate in another spelling": {**public(A), "x": str(public(A)["x"]) + "="},
}


@pytest.mark.parametrize("name", WEAK)
def test_a_key_that_is_weak_or_none_is_refused(name: str) -> None:
    with pytest.raises(Malformed):
        public_key(WEAK[name])


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
def test_every_private_member_makes_a_key_private(member: str) -> None:
    assert has_private_part({**public(A), member: "AA"})


def signed_by(key: Any, algorithm: str) -> Compact:
    return Compact({"alg": algorithm}, {}, b"signed", JWSRegistry.algorithms[algorithm].sign(b"signed", key))


def test_a_key_verifies_what_is_pinned_and_nothing_else() -> None:
    rsa_key, ed = RSAKey.generate_key(2048), OKPKey.generate_key("Ed25519")
    both = frozenset({"RS256", "PS256", "EdDSA", "Ed25519"})
    for name in ("RS256", "PS256"):
        assert public_key(public(rsa_key)).verifies(signed_by(rsa_key, name), both)
        assert public_key(public(rsa_key, alg=name)).verifies(signed_by(rsa_key, name), both)
        assert not public_key(public(rsa_key)).verifies(signed_by(rsa_key, name), both - {name})
    assert not public_key(public(rsa_key, alg="PS256")).verifies(signed_by(rsa_key, "RS256"), both), "pinned by the key itself"
    for name in ("EdDSA", "Ed25519"):  # one algorithm under two names (RFC 9864)
        assert public_key(public(ed, alg=name)).verifies(signed_by(ed, "Ed25519"), both)
        assert public_key(public(ed, alg=name)).verifies(signed_by(ed, "EdDSA"), both)
    assert not public_key(public(ed)).verifies(signed_by(OctKey.generate_key(256), "HS256"), both | {"HS256"})


def test_where_the_metadata_lies() -> None:
    assert metadata_url("https://a.example", OPENID) == "https://a.example/.well-known/openid-configuration"
    assert metadata_url("https://a.example/t/", OPENID) == "https://a.example/t/.well-known/openid-configuration"
    assert metadata_url("https://a.example/t", OAUTH) == "https://a.example/.well-known/oauth-authorization-server/t"


@pytest.mark.parametrize(
    ("url", "production", "development"),
    [
        ("https://a.example/x", True, True),
        ("http://a.example", False, False),
        ("http://127.0.0.1:80/", False, True),
        ("http://[::1]:80/", False, True),
        ("http://127.0.0.1.evil.example", False, False),
        ("https://a@b.example", False, False),
        ("https://a.example/#x", False, False),
        ("https://", False, False),
        ("https://a.example:x", False, False),
        ("ftp://a.example", False, False),
        ("https://a.example\n", False, False),
        ("", False, False),
    ],
)
def test_where_may_be_asked(url: str, production: bool, development: bool) -> None:
    assert (is_safe_url(url, loopback_http=False), is_safe_url(url, loopback_http=True)) == (production, development)


@asynccontextmanager
async def answering(handler: Any) -> AsyncIterator[str]:
    """A server on loopback that answers everything so."""
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _slow(_request: web.Request) -> web.Response:
    await asyncio.sleep(5)
    return web.json_response({})


async def _away(request: web.Request) -> web.Response:
    raise web.HTTPFound("/there") if request.path != "/there" else web.HTTPOk(text="{}")


def _answers(**answer: Any) -> Any:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(**answer)

    return handler


BAD: dict[str, Any] = {
    "an error": _answers(status=500, text="{}"),
    "nothing": _answers(status=204),
    "elsewhere": _away,
    "too late": _slow,
    "too long": _answers(text=json.dumps({"a": "x" * MAX_ANSWER_BYTES})),
    "no JSON": _answers(text="<html>"),
    "a key twice": _answers(text='{"keys": [], "keys": []}'),
    "no object": _answers(text="[]"),
}


@pytest.mark.parametrize("name", BAD)
async def test_an_answer_that_is_not_as_it_must_be_is_none(name: str) -> None:
    fetcher = Fetcher(loopback_http=True, timeout_s=0.3)
    try:
        async with answering(BAD[name]) as url:
            with pytest.raises(NoAnswer):
                await fetcher.get(url)
        with pytest.raises(NoAnswer):
            await fetcher.get(url)  # nobody listens there any more
    finally:
        await fetcher.close()


async def test_an_answer_without_end_is_cut_off() -> None:
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while sent < 100 * MAX_ANSWER_BYTES:
                await response.write(b" " * 65_536)
                sent += 65_536
        return response

    fetcher = Fetcher(loopback_http=True)
    try:
        async with answering(handler) as url:
            with pytest.raises(NoAnswer, match="too long"):
                await fetcher.get(url)
    finally:
        await fetcher.close()
    assert sent < 100 * MAX_ANSWER_BYTES


async def test_a_connection_that_the_provider_closed_is_asked_once_more() -> None:
    asked = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked == 2:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"n": asked})

    fetcher = Fetcher(loopback_http=True)
    try:
        async with answering(handler) as url:
            assert await fetcher.post(url, {}, "x") == {"n": 1}
            assert await fetcher.post(url, {}, "x") == {"n": 3}
    finally:
        await fetcher.close()


def principal(token: str | None) -> Principal:
    return Principal("alice", None, "c", frozenset(), False, 0, 0, "app", token=token)


STANDING: dict[str, tuple[dict[str, Any], bool | None]] = {
    "active": ({"text": '{"active": true}'}, True),
    "active, of this customer": ({"text": '{"active": true, "sub": "alice"}'}, True),
    "active, of another customer": ({"text": '{"active": true, "sub": "bruno"}'}, False),
    "not active": ({"text": '{"active": false}'}, False),
    "active by a word": ({"text": '{"active": "true"}'}, False),
    "active by a number": ({"text": '{"active": 1}'}, False),
    "nothing said": ({"text": "{}"}, False),
    "active and not": ({"text": '{"active": false, "active": true}'}, None),
    "not asked by whom it knows": ({"status": 401, "text": '{"active": true}'}, None),
    "an error": ({"status": 500}, None),
}


@pytest.mark.parametrize("name", STANDING)
async def test_a_token_stands_when_its_issuer_says_so_and_in_no_other_case(name: str) -> None:
    answer, stands = STANDING[name]
    fetcher = Fetcher(loopback_http=True)
    asked: list[tuple[str | None, dict[str, str]]] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append((request.headers.get("authorization"), dict(await request.post())))  # type: ignore[arg-type]
        return web.Response(**answer)

    try:
        async with answering(handler) as url:
            introspection = Introspection(fetcher, url, "win:dow", "s%cret")
            if stands is None:
                with pytest.raises(Unavailable):
                    await introspection.still_stands(principal("a.token"))
            else:
                assert await introspection.still_stands(principal("a.token")) is stands
            with pytest.raises(Unavailable):
                await introspection.still_stands(principal(None))
        basic = "Basic " + base64.b64encode(b"win%3Adow:s%25cret").decode()
        assert asked == [(basic, {"token": "a.token", "token_type_hint": "access_token"})]
        assert "s%cret" not in repr(introspection)
    finally:
        await fetcher.close()


async def test_discovery_compares_the_issuer_exactly() -> None:
    told: dict[str, Any] = {}
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"keys": [public(A)]} if request.path == "/jwks" else told)

    fetcher = Fetcher(loopback_http=True)
    try:
        async with answering(handler) as url:
            for named, keys in ((url, f"{url}/jwks"), (f"{url}/", f"{url}/jwks"), (url, "http://evil.example/jwks"), (url, None)):
                told.update(issuer=named, jwks_uri=keys)
                if (named, keys) == (url, f"{url}/jwks"):
                    assert set(await IssuerKeys(fetcher, url)()) == {"a"}
                else:
                    with pytest.raises(NoAnswer):
                        await IssuerKeys(fetcher, url)()
            assert set(await IssuerKeys(fetcher, "https://elsewhere.example", f"{url}/jwks")()) == {"a"}
            asked.clear()
            told.update(issuer=f"{url}/t", jwks_uri=f"{url}/jwks")
            for document in (OPENID, OAUTH):
                assert set(await IssuerKeys(fetcher, f"{url}/t", metadata=document)()) == {"a"}
            assert asked == ["/t/.well-known/openid-configuration", "/jwks", "/.well-known/oauth-authorization-server/t", "/jwks"]
    finally:
        await fetcher.close()
