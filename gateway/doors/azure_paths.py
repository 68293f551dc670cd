"""Azure OpenAI's spelling of the same API: its paths, `api-version`, and `api-key` for the bearer of `Authorization`.

Only spelled anew: what is asked is answered by the same routes, and `api-version` chooses nothing. A proof of possession is still over the
address as it was asked.
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_DEPLOYMENT = re.compile("/openai/deployments/[^/]{1,128}(/chat/completions)")
_PATH = re.compile(
    "/openai(?:/v1)?(/(?:assistants|threads|files|uploads|vector_stores|responses|conversations|chat/completions|models)(?:/.*)?)"
)


def in_front(app: ASGIApp) -> ASGIApp:
    """The application, asked at both spellings."""

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = _spelled(scope)
        await app(scope, receive, send)

    return front


def _spelled(scope: Scope) -> Scope:
    found = _DEPLOYMENT.fullmatch(scope["path"]) or _PATH.fullmatch(scope["path"])
    if found is None:
        return scope
    names = {name for name, _ in scope["headers"]}
    headers = scope["headers"]
    if b"authorization" not in names:
        headers = [
            (b"authorization", b"Bearer " + value) if name == b"api-key" else (name, value) for name, value in scope["headers"]
        ]
    return {**scope, "path": f"/v1{found[1]}", "headers": headers}
