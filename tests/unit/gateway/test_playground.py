"""The playground's files as they are served: what the browser is told to forbid, and nothing in them that would need it allowed."""

import re

import httpx
import pytest
from fastapi import FastAPI

from gateway.doors import playground

FILES = {
    playground.PATH: "text/html; charset=utf-8",
    **{f"{playground.PATH}/{name}.js": "text/javascript; charset=utf-8" for name in ("api", "tools", "playground")},
    f"{playground.PATH}/playground.css": "text/css; charset=utf-8",
}


async def served(path: str) -> httpx.Response:
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False})
    playground.mount(app)
    assert not app.openapi()["paths"]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        return await client.get(path)


@pytest.mark.parametrize("path", FILES)
async def test_nothing_from_elsewhere_and_nothing_kept(path: str) -> None:
    answered = await served(path)
    assert (answered.status_code, answered.headers["content-type"]) == (200, FILES[path])
    policy = dict(part.strip().split(" ", 1) for part in answered.headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    for name, value in {
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }.items():
        assert answered.headers[name] == value


async def test_no_markup_is_made_of_text_and_nothing_is_kept_in_the_browser() -> None:
    page = (await served(playground.PATH)).text
    scripts = [path for path in FILES if path.endswith(".js")]
    assert re.findall(r"<script[^>]*>", page) == [f'<script src="{path}" defer>' for path in scripts]
    assert not re.search(r"\son\w+=|\sstyle=|<style|https?:", page)
    told = "".join([(await served(path)).text for path in scripts])
    for name in (
        "innerHTML|outerHTML|insertAdjacentHTML|setHTML|DOMParser|document.write|eval\\(|Function\\(|createContextualFragment",
        "localStorage|sessionStorage|indexedDB|cookie|https?://|XMLHttpRequest|sendBeacon|WebSocket|EventSource",
    ):
        assert not re.search(name, told)
    assert re.findall(r"fetch\((.)(/v1)?", told) == [("`", "/v1")]
    assert re.findall(r"createObjectURL\((.{0,80})", told) == ['new Blob([content], { type: "application/octet-stream" }));'], (
        "to the disk alone, and as no document"
    )
