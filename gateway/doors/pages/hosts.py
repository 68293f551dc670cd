"""Two applications on one address, each on a host of its own: the browser keeps them apart as two origins."""

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send


def beside(app: ASGIApp, page: ASGIApp, origin: str) -> ASGIApp:
    """Requests for the page's host go to the page alone, all others to `app`: neither is ever served on the other's origin."""
    host = urlsplit(origin).netloc.encode()

    async def chosen(scope: Scope, receive: Receive, send: Send) -> None:
        named = [value.lower() for name, value in scope["headers"] if name == b"host"] if scope["type"] == "http" else []
        await (page if named == [host] else app)(scope, receive, send)

    return chosen
