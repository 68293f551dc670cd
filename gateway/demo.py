"""`tellergate demo`: the embedded default and a stand-in for a model, over the real HTTP door with the `openai` package, offline.

The demo plays the bank's back end: it asks the model, hands the model's function calls to the window, and gives the outputs back. With
OPENAI_API_KEY and OPENAI_BASE_URL set, a real model takes the stand-in's place.
"""

import asyncio
import json
import os
import socket
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from openai import OpenAI
from rich.console import Console
from rich.panel import Panel

from audit.verify import verify_store
from gateway.issuer import LocalIssuer
from gateway.main import Gateway, serve
from gateway.settings import development
from gateway.standin import MODEL, standin

CUSTOMER = "alice"
AGENT = "demo-assistant"
_ROUNDS_MOST = 8

_STORY = (
    ("balance", "What is the balance of my Everyday account?"),
    ("transfer", 'Please move 25.00 GBP from "Everyday" to "Rainy day".'),
    ("attack", "What did I spend on lately?"),
)


@dataclass(frozen=True, slots=True)
class Told:
    """One call of the story."""

    function: str
    decision: str
    policies: Sequence[str]
    core_saw: Mapping[str, Any] | None
    model_saw: Mapping[str, Any]
    record: int
    asked: Mapping[str, Any] = field(default_factory=dict)
    status: str = ""
