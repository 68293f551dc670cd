"""An ID token counts only whole: whatever single thing is wrong with it, nobody is signed in."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey

from gateway.domain.duties import StaffRole
from gateway.domain.errors import Unavailable
from gateway.domain.strict_json import Parsed
from gateway.identity.fetching import Fetcher, NoAnswer
from gateway.identity.jwks import FixedKeys
from gateway.identity.keys import public_key
from gateway.identity.sign_in import NotSignedIn, PendingSignIn, SignInRules, StaffSignIn, roles_of
from tests.support.oidc import jwt

ISSUER = "https://staff.bank.example"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
KEY, OTHER = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
RULES = SignInRules(
    issuer=ISSUER,
    client="gateway",
    secret="secret",
    origin="https://operations.bank.example",
    roles_claim="groups",
    roles={"bank-officers": StaffRole.OFFICER, "audit": StaffRole.AUDITOR},
    strong=("two",),
    algorithms=frozenset({"ES256"}),
    clock_skew_s=5,
    longest_s=3600,
)
PENDING = PendingSignIn(state="state", nonce="nonce", verifier="v" * 64, begun_s=NOW_S - 20, fresh=True)
HEADER = {"alg": "ES256", "kid": "one", "typ": "JWT"}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": "gateway",
    "sub": "ada",
    "nonce": "nonce",
    "iat": NOW_S,
    "exp": NOW_S + 300,
    "auth_time": NOW_S - 5,
    "acr": "two",
    "groups": ["customers", "bank-officers"],
}
QUERY = "code=c&state=state"


class Provider(Fetcher):
    """Answers with this ID token, and keeps what it was asked."""

    def __init__(self, token: object, *, issuer: str = ISSUER, fails: str = "") -> None:
        super().__init__(loopback_http=False)
        self.token, self.issuer, self.fails = token, issuer, fails
        self.forms: list[Mapping[str, str]] = []

    async def get(self, url: str) -> Mapping[str, Parsed]:
        endpoints: dict[str, Parsed] = {"authorization_endpoint": f"{ISSUER}/auth", "token_endpoint": f"{ISSUER}/token"}
        return {"issuer": self.issuer, **endpoints}

    async def post(self, url: str, form: Mapping[str, str], authorization: str) -> Mapping[str, Parsed]:
        self.forms.append(form)
        if self.fails:
            raise NoAnswer(self.fails)
        return {"id_token": self.token}  # type: ignore[dict-item]  # whatever the test has


def sign_in(provider: Provider) -> StaffSignIn:
    key: Any = {**KEY.as_dict(private=False), "kid": "one", "alg": "ES256", "use": "sig"}
    return StaffSignIn(RULES, provider, FixedKeys({"one": public_key(key)}))


def token(header: dict[str, Any] | None = None, key: ECKey = KEY, **claims: Any) -> str:
    """Good but for what is said; None leaves a claim out."""
    made = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt({**HEADER, **(header or {})}, made, key)


async def test_a_good_one_says_who_and_with_which_roles_and_the_code_goes_with_its_verifier() -> None:
    provider = Provider(token())
    member = await sign_in(provider).finish(PENDING, QUERY, NOW)
    assert (member.subject, member.roles, member.strong) == ("ada", frozenset({StaffRole.OFFICER}), True)
    (form,) = provider.forms
    assert (form["code_verifier"], form["redirect_uri"]) == ("v" * 64, "https://operations.bank.example/signed-in")


WRONG: dict[str, tuple[str, object]] = {
    "another issuer": ("id_token", token(iss="https://evil.example")),
    "another audience": ("id_token", token(aud="another")),
    "others too": ("id_token", token(aud=["gateway", "another"])),
    "another party": ("id_token", token(azp="another")),
    "another nonce": ("id_token", token(nonce="other")),
    "no nonce": ("id_token", token(nonce=None)),
    "over": ("id_token", token(exp=NOW_S)),
    "of the future": ("id_token", token(iat=NOW_S + 60)),
    "made before it was asked for": ("id_token", token(iat=NOW_S - 60)),
    "no time of signing in": ("id_token", token(auth_time=None)),
    "signed in later than now": ("id_token", token(auth_time=NOW_S + 60)),
    "no subject": ("id_token", token(sub=None)),
    "an empty subject": ("id_token", token(sub="")),
    "a long subject": ("id_token", token(sub="x" * 65)),
    "a subject that is none": ("id_token", token(sub=7)),
    "another key": ("id_token", token(key=OTHER)),
    "an unknown key": ("id_token", token({"kid": "two"})),
    "no key": ("id_token", token({"kid": None})),
    "an access token": ("id_token", token({"typ": "at+jwt"})),
    "not signed": ("id_token", token({"alg": "none"})),
    "another algorithm": ("id_token", token({"alg": "HS256"})),
    "critical": ("id_token", token({"crit": ["x"]})),
    "cut": ("id_token", token()[:-3]),
    "none": ("id_token", None),
    "no text": ("id_token", 7),
    "signed in before it was asked anew": ("not_fresh", token(auth_time=NOW_S - 60)),
    "one factor": ("not_fresh", token(acr="one")),
    "no factor said": ("not_fresh", token(acr=None)),
    "factors that are no text": ("not_fresh", token(acr=["two"])),
    "no role": ("no_role", token(groups=["customers"])),
    "no groups": ("no_role", token(groups=None)),
    "a role's own name": ("no_role", token(groups=["officer"])),
    "groups that are an object": ("no_role", token(groups={"bank-officers": True})),
}


@pytest.mark.parametrize("name", WRONG)
async def test_whatever_is_wrong_nobody_is_signed_in(name: str) -> None:
    why, made = WRONG[name]
    with pytest.raises(NotSignedIn) as refused:
        await sign_in(Provider(made)).finish(PENDING, QUERY, NOW)
    assert refused.value.why == why


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("state=state", "declined"),
        ("error=access_denied&state=state", "declined"),
        ("code=c", "state"),
        ("code=c&state=other", "state"),
        ("code=c&code=d&state=state", "state"),
        ("code=c&state=state&state=state", "state"),
        ("code=c&state=state&iss=https%3A%2F%2Fevil.example", "state"),
        (f"code={'c' * 9000}&state=state", "state"),
        ("", "state"),
    ],
)
async def test_whatever_a_browser_brings_back_wrongly_asks_the_provider_nothing(query: str, why: str) -> None:
    provider = Provider(token())
    with pytest.raises(NotSignedIn) as refused:
        await sign_in(provider).finish(PENDING, query, NOW)
    assert (refused.value.why, provider.forms) == (why, [])


async def test_a_sign_in_that_took_too_long_or_comes_from_the_future_is_none() -> None:
    for begun_s in (NOW_S - 601, NOW_S + 60):
        with pytest.raises(NotSignedIn, match="state"):
            await sign_in(Provider(token())).finish(replace(PENDING, begun_s=begun_s), QUERY, NOW)


async def test_a_provider_that_does_not_answer_signs_nobody_in_and_is_told_as_that() -> None:
    with pytest.raises(NotSignedIn, match="declined"):
        await sign_in(Provider(token(), fails="status 400")).finish(PENDING, QUERY, NOW)
    for fails in ("status 502", "TimeoutError"):
        with pytest.raises(Unavailable):
            await sign_in(Provider(token(), fails=fails)).finish(PENDING, QUERY, NOW)
    with pytest.raises(Unavailable):
        await sign_in(Provider(token(), issuer="https://evil.example")).begin(NOW, fresh=False)


async def test_a_flood_of_beginnings_asks_a_provider_that_is_down_once_in_five_seconds() -> None:
    class Down(Provider):
        asked = 0

        async def get(self, url: str) -> Mapping[str, Parsed]:
            self.asked += 1
            await asyncio.sleep(0)
            raise NoAnswer("TimeoutError")

    provider = Down(None)
    signing = sign_in(provider)
    told = await asyncio.gather(*(signing.begin(NOW, fresh=False) for _ in range(50)), return_exceptions=True)
    assert all(isinstance(item, Unavailable) for item in told)
    assert provider.asked == 1
    with pytest.raises(Unavailable):
        await signing.begin(NOW + timedelta(seconds=6), fresh=False)
    assert provider.asked == 2


async def test_a_sign_in_of_yesterday_at_the_provider_is_no_sign_in_of_today() -> None:
    pending = replace(PENDING, fresh=False)
    member = await sign_in(Provider(token(auth_time=NOW_S - 3000, acr="one"))).finish(pending, QUERY, NOW)
    assert (member.strong, member.is_fresh(NOW, 300)) == (False, False)
    with pytest.raises(NotSignedIn, match="not_fresh"):
        await sign_in(Provider(token(auth_time=NOW_S - 3700))).finish(pending, QUERY, NOW)
    strong = await sign_in(Provider(token())).finish(pending, QUERY, NOW)
    assert strong.is_fresh(NOW + timedelta(seconds=295), 300)
    assert not strong.is_fresh(NOW + timedelta(seconds=296), 300)


def test_roles_come_of_a_list_or_of_words_and_of_nothing_else() -> None:
    assert roles_of("audit bank-officers", RULES.roles) == {StaffRole.AUDITOR, StaffRole.OFFICER}
    for claim in (None, True, 7, {"audit": 1}, ["AUDIT", " audit", 7, None, ["audit"]], "bank-officers,audit"):
        assert roles_of(claim, RULES.roles) == frozenset()  # type: ignore[arg-type]
