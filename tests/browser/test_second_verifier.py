"""The verifier in JavaScript within a real Chromium, served as files under a policy that lets a page run scripts of its own and no more."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tests.support.chromium import chromium, device, serving
from tests.support.forged_bundles import FORGERIES, Own, corpus
from tests.support.postgres import free_port
from tests.support.second_verifier import FOLDER, comparable, first_verifier

POLICY = "default-src 'none'; script-src 'self'; base-uri 'none'; form-action 'none'"

PROGRAM = """async ({files, asBlob}) => {
  const { verify, InputUnreadable } = await import("/js/verifier.mjs");
  const bytes = Object.fromEntries(Object.entries(files).map(([name, text]) => [name, Uint8Array.from(atob(text), c => c.charCodeAt(0))]));
  const { bundle, ...own } = bytes;
  try {
    return JSON.stringify((await verify(asBlob ? new Blob([bundle]) : bundle, own)).asJson());
  } catch (error) {
    if (error instanceof InputUnreadable) return JSON.stringify({ unreadable: error.name });
    throw error;
  }
}"""


def page(_request: Any) -> HTMLResponse:
    return HTMLResponse("<!doctype html><title>Verify</title>", headers={"content-security-policy": POLICY})


async def bundles(folder: Path) -> list[tuple[bytes, Own]]:
    """Those that are good, and one forgery or two of each kind."""
    async with corpus(folder) as made:
        good = [(source.raw, source.own) for source in made.sources]
        return good + [made.forged(number)[1:] for number in range(2 * len(FORGERIES))]


def test_a_browser_says_the_same(tmp_path: Path) -> None:
    given = asyncio.run(bundles(tmp_path))
    asked = [{name: base64.b64encode(content).decode() for name, content in {"bundle": raw, **own}.items()} for raw, own in given]
    answers = in_a_browser(Starlette(routes=[Route("/", page), Mount("/js", StaticFiles(directory=FOLDER))]), free_port(), asked)
    for (raw, own), answer in zip(given, answers, strict=True):
        assert comparable(answer) == comparable(first_verifier(raw, own))
    assert sum("good" in answer and answer["good"] for answer in answers) >= len(given) - 2 * len(FORGERIES) > 0


def in_a_browser(app: Starlette, port: int, asked: list[dict[str, str]]) -> list[dict[str, Any]]:
    """What the page says of each, given as a file or as bytes in turn."""
    with serving(app, port), chromium() as browser, device(browser) as one:
        one.page.goto(f"http://127.0.0.1:{port}/")
        return [
            json.loads(one.page.evaluate(PROGRAM, {"files": files, "asBlob": number % 2 == 0}))
            for number, files in enumerate(asked)
        ]
