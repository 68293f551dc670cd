"""Opens the model's endpoint by its address and the API it speaks. Slow to import: whoever needs no model leaves it alone."""

from typing import Literal

from gateway.runs.chat import ChatCompletions
from gateway.runs.exchange import Exchange, ExchangeLimits
from gateway.runs.model import Model
from gateway.runs.responses import Responses

Api = Literal["chat", "responses"]


def open_model(url: str, api: Api, credential: str | None, *, timeout_ms: int, idle_ms: int, retries: int) -> Model:
    """A model at this base URL, such as `https://models.bank.example/v1`. To be called where its loop runs, and closed.

    `credential` is sent as a bearer token; None sends none. The times are those of `exchange.Limits`.
    """
    exchange = Exchange(url, credential, ExchangeLimits(timeout_ms, idle_ms, retries))
    return Responses(exchange) if api == "responses" else ChatCompletions(exchange)
