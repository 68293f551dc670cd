"""People of a bank at the operations listener, each with a browser of their own: a client that keeps cookies as one does."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.support.oidc import TWO_FACTORS, Oidc
from tests.support.waiting import WAITS_S


@dataclass
class Person:
    """A browser at the listener `origin`; `oidc` is where its person signs in."""

    oidc: Oidc
    origin: str
    http: httpx.Client

    def sign_in(self, name: str, *groups: str, fresh: bool = False, acr: str = TWO_FACTORS) -> httpx.Response:
        """Through the provider and back."""
        self.oidc.staff(name, *groups, acr=acr)
        return self.follow("/sign-in/fresh" if fresh else "/sign-in")

    def follow(self, path: str) -> httpx.Response:
        """Every redirect, as a browser goes; the last answer."""
        url = self.origin + path
        for _ in range(12):
            answered = self.http.get(url)
            if answered.status_code not in (302, 303):
                return answered
            url = urljoin(url, answered.headers["location"])
        raise AssertionError("it goes round in circles")

    @property
    def session(self) -> dict[str, Any]:
        told: dict[str, Any] = self.http.get(f"{self.origin}/v1/session").json()
        return told

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        """As a script of our page does it."""
        told = {"origin": self.origin, "sec-fetch-site": "same-origin", "x-csrf-token": self.session.get("csrf", ""), **headers}
        return self.http.post(self.origin + path, json=body, headers={name: value for name, value in told.items() if value})

    def get(self, path: str) -> httpx.Response:
        return self.http.get(self.origin + path)


def person(oidc: Oidc, origin: str) -> Person:
    """Somebody with a new browser."""
    return Person(oidc, origin, httpx.Client(verify=oidc.verify, timeout=WAITS_S))
