"""A real Chromium (Debian's package) with a virtual authenticator of its own protocol: the customer's device."""

import base64
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.identity.compact import encode
from tests.support.waiting import WAITS_S

PATH = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser. Skips the test where it is not installed; fails it if REQUIRE_PEERS is set."""
    if not os.path.exists(PATH):
        if os.environ.get("REQUIRE_PEERS") == "1":
            pytest.fail("Chromium is not installed, and REQUIRE_PEERS is set")
        pytest.skip("Chromium is absent")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is absent")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium") or PATH, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Device:
    """A page of a fresh profile, and its authenticator, which verifies its user by itself."""

    page: Any
    protocol: Any
    authenticator: str

    def add_passkey(self, rp_id: str, *, user: bytes = b"handle") -> tuple[str, bytes]:
        """A discoverable ES256 credential; its id, and its COSE_Key as the authenticator holds it."""
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        credential = {
            "credentialId": base64.b64encode(secrets.token_bytes(32)).decode(),
            "isResidentCredential": True,
            "rpId": rp_id,
            "privateKey": base64.b64encode(private).decode(),
            "userHandle": base64.b64encode(user).decode(),
            "signCount": 1,
        }
        self.protocol.send("WebAuthn.addCredential", {"authenticatorId": self.authenticator, "credential": credential})
        (held,) = self.protocol.send("WebAuthn.getCredentials", {"authenticatorId": self.authenticator})["credentials"]
        public = serialization.load_der_private_key(base64.b64decode(held["privateKey"]), None).public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        numbers = public.public_numbers()
        cose = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + numbers.x.to_bytes(32, "big")
        return encode(base64.b64decode(held["credentialId"])), cose + b"\x22\x58\x20" + numbers.y.to_bytes(32, "big")

    def verifies_user(self, verifies: bool) -> None:
        self.protocol.send("WebAuthn.setUserVerified", {"authenticatorId": self.authenticator, "isUserVerified": verifies})


@contextmanager
def device(browser: Any, size: dict[str, int] = PHONE, **context: Any) -> Iterator[Device]:
    """A customer's device."""
    profile = browser.new_context(viewport=size, **context)
    page = profile.new_page()
    protocol = profile.new_cdp_session(page)
    protocol.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    made = protocol.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    yield Device(page, protocol, made["authenticatorId"])
    profile.close()


@contextmanager
def serving(app: Any, port: int) -> Iterator[None]:
    """An application on loopback, in a thread."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="warning", lifespan="off", timeout_graceful_shutdown=int(WAITS_S / 2)
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    end = time.monotonic() + WAITS_S
    while not server.started:
        assert time.monotonic() < end, "it never started"
        time.sleep(0.02)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(WAITS_S)
        assert not thread.is_alive(), "it never ended"
