"""What a run may still spend, over all its questions to the model. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.domain.strict_json import Json
from gateway.runs.model import Usage

ROUNDS_MOST = 32
"""Questions to the model in one run: a model that never comes to an end is stopped."""


@dataclass(frozen=True, slots=True)
class TokensUsed:
    """Tokens as the model's server counted them, questions asked, and calls of ours that were asked for, in the response that goes on."""

    prompt: int = 0
    completion: int = 0
    rounds: int = 0
    calls: int = 0

    def and_of(self, usage: Usage | None, calls: int) -> "TokensUsed":
        prompt, completion = (0, 0) if usage is None else (usage.prompt, usage.completion)
        more = {"rounds": self.rounds + 1, "calls": self.calls + calls}
        return replace(self, prompt=self.prompt + prompt, completion=self.completion + completion, **more)

    def as_json(self) -> dict[str, Json]:
        return {"prompt": self.prompt, "completion": self.completion, "rounds": self.rounds, "calls": self.calls}


CALLS_MOST = "calls_most"
"""Of a run's `own`: how many calls of ours one response takes."""


def calls_left(own: Mapping[str, Any], spent: TokensUsed) -> int | None:
    """How many calls of ours are still taken; None: no bound."""
    most = own.get(CALLS_MOST)
    return None if most is None else max(0, most - spent.calls)


@dataclass(frozen=True, slots=True)
class TokensLeft:
    """Tokens that are left; None: no bound."""

    prompt: int | None
    completion: int | None

    @property
    def exceeded(self) -> str | None:
        """Which bound is reached, as `incomplete_details` names it."""
        if self.completion is not None and self.completion <= 0:
            return "max_completion_tokens"
        return "max_prompt_tokens" if self.prompt is not None and self.prompt <= 0 else None


def left(body: Mapping[str, Any], spent: TokensUsed) -> TokensLeft:
    """Of a run with this body."""
    prompt, completion = body["max_prompt_tokens"], body["max_completion_tokens"]
    return TokensLeft(
        None if prompt is None else prompt - spent.prompt,
        None if completion is None else completion - spent.completion,
    )
