"""A typed client for Python of the gateway's own API, sync and async; `openai`'s client does for assistants, runs and chats.

Owns what a program on the other side of the wire needs: requests, answers, errors, what may be repeated, and whether a webhook is genuine.
Must never import from the rest of the gateway, show a token, follow a redirect, or repeat what might then be done twice.
"""

from gateway.client.answers import CallInfo, CallReport, FunctionCallsInfo, MoneyText, WaitingConfirmation
from gateway.client.clients import AsyncTellergateClient, TellergateClient
from gateway.client.dpop import DpopKey
from gateway.client.errors import TellergateError, TellergateUnreachable
from gateway.client.exchange import Patience
from gateway.client.webhooks import CallSettled, WebhookEvent, WebhookNotGenuine, verify_webhook

__all__ = [
    "AsyncTellergateClient",
    "CallInfo",
    "CallReport",
    "CallSettled",
    "DpopKey",
    "FunctionCallsInfo",
    "MoneyText",
    "Patience",
    "TellergateClient",
    "TellergateError",
    "TellergateUnreachable",
    "WaitingConfirmation",
    "WebhookEvent",
    "WebhookNotGenuine",
    "verify_webhook",
]
