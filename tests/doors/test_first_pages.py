"""The landing page and the documentation: development mode alone, for who asks by a loopback address, and honest about what is missing."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from gateway.app.composition import Composition
from gateway.app.development.composition import DEVELOPMENT
from gateway.app.production import PRODUCTION
from gateway.app.serving import build_app
from gateway.doors.pages import docs
from gateway.identity.compact import decode
from tests.support.teller import teller

FILES = ("/docs/docs.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css")
PAGES = ("/", "/docs", "/console/landing/landing.css", "/console/playground", *FILES)


@asynccontextmanager
async def client(
    folder: Path, host: str = "127.0.0.1:8080", composition: Composition = DEVELOPMENT
) -> AsyncIterator[httpx.AsyncClient]:
    async with teller(folder) as asked:
        asked.gateway.composition = composition
        transport = httpx.ASGITransport(build_app(asked.gateway))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as made:
            yield made


async def test_the_first_page_links_to_everything_with_tokens_in_fragments(tmp_path: Path) -> None:
    async with client(tmp_path / "data") as http:
        page = await http.get("/")
        assert page.status_code == 200
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"
        assert not re.search(r"<script|\son\w+=|\sstyle=|<style", page.text)
        links = re.findall(r'href="([^"]+)"', page.text)
        assert {link.split("#")[0] for link in links} >= {"/console/playground", "/docs", "/openapi.json"}
        fragment = next(link for link in links if link.startswith("/console/playground#")).split("#")[1]
        tokens = dict(item.split("=", 1) for item in fragment.replace("&amp;", "&").split("&"))
        assert {name: decode(tokens[name].split(".")[1]).decode() for name in ("token", "service")}.keys() == {"token", "service"}
        assert "audit query" in page.text
        for path in ("/console/playground", "/docs", "/openapi.json", "/console/landing/landing.css"):
            assert (await http.get(path)).status_code == 200, path


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8080", "[::ffff:9.9.9.9]", "10.0.0.1"])
async def test_a_name_that_somebody_made_point_here_gets_no_tokens(tmp_path: Path, host: str) -> None:
    async with client(tmp_path / "data", host) as http:
        answered = await http.get("/")
        assert (answered.status_code, answered.json()["error"]["code"]) == (404, "not_found")
        assert "eyJ" not in answered.text


async def test_outside_development_mode_nothing_of_it_is_there(tmp_path: Path) -> None:
    async with client(tmp_path / "data", composition=PRODUCTION) as http:
        for path in PAGES:
            answered = await http.get(path)
            assert (answered.status_code, answered.json()["error"]["message"]) == (404, "no such path"), path


async def test_without_the_extra_the_documentation_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "_PACKAGE", "not_installed_at_all")
    async with client(tmp_path / "data") as http:
        answered = await http.get("/docs")
        assert (answered.status_code, answered.json()["error"]["code"]) == (404, "not_found")
        assert "pip install 'tellergate[docs]'" in answered.json()["error"]["message"]
        assert (await http.get("/docs/swagger-ui.css")).status_code == 404
        assert (await http.get("/openapi.json")).status_code == 200
