"""`/metrics` of the operations listener, for Prometheus. No token: who reaches the listener may read it. Nothing in it is of a customer."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Response

MEDIA = "text/plain; version=0.0.4; charset=utf-8"


def mount(app: FastAPI, scraped: Callable[[], Awaitable[bytes]]) -> None:
    """`scraped`: the text of all workers."""

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """What Prometheus scrapes: text format 0.0.4."""
        return Response(await scraped(), media_type=MEDIA)
