"""A real server: the `tellergate serve` command in a process of its own, on loopback."""

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app.development.local_issuer import LocalIssuer
from gateway.cli import main
from gateway.doors import examples, response_examples, vector_examples
from tests.support import databases
from tests.support.asking import why
from tests.support.options import OPTIONS
from tests.support.processes import sandbox_bank, started
from tests.support.waiting import WAITS_S

OBJECT = {
    "conversation_id": examples.CONVERSATION,
    "call_id": examples.CALL,
    "confirmation_id": examples.CONFIRMATION,
    "assistant_id": examples.ASSISTANT,
    "thread_id": examples.THREAD,
    "message_id": examples.MESSAGE,
    "run_id": examples.RUN,
    "response_id": response_examples.RESPONSE,
    "step_id": examples.STEP,
    "file_id": examples.FILE,
    "upload_id": examples.UPLOAD,
    "vector_store_id": vector_examples.VECTOR_STORE,
    "batch_id": vector_examples.BATCH,
    "credential": examples.CREDENTIAL,
    "customer": "dora",
    "mandate_id": examples.MANDATE,
    "kill_switch_id": examples.KILL_SWITCH,
    "model": "a-model",
}
"""What the parameters of paths name, as the examples have them."""


@dataclass
class Served:
    url: str
    data: Path
    http: httpx.Client

    def token(self, customer: str = "alice", **claims: Any) -> str:
        claims = {"agent": "assistant", "strong": True, **claims}
        return LocalIssuer(self.data).token(customer, **claims)

    def post(self, path: str, body: object, *, token: str | None = None) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post(path, content=content, headers={"authorization": f"Bearer {token or self.token()}"})

    def get(self, path: str, *, token: str | None = None) -> httpx.Response:
        return self.http.get(path, headers={"authorization": f"Bearer {token or self.token()}"})

    def conversation(self, token: str | None = None) -> str:
        answered = self.post("/v1/conversations", {}, token=token)
        assert answered.status_code == 200, answered.text
        return str(answered.json()["id"])

    def say(self, text: str, *, conversation: str, customer: str = "alice") -> None:
        """The customer says this on their own channel."""
        token = self.token(customer, agent=None, words=True)
        answered = self.post(f"/v1/conversations/{conversation}/messages", {"messages": [{"text": text}]}, token=token)
        assert answered.status_code == 200, answered.text

    def call(self, name: str, arguments: object, **rest: Any) -> dict[str, Any]:
        """One call in the Responses shape; its result and what the model reads."""
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        item = {"type": "function_call", "call_id": rest.pop("native_id", "c1"), "name": name, "arguments": text}
        body = {"shape": "responses", "conversation_id": rest.pop("conversation", None) or self.conversation(rest.get("token"))}
        answered = self.post("/v1/function-calls", {**body, "turn_id": "turn", "calls": [item]}, **rest)
        assert answered.status_code == 200, answered.text
        told = answered.json()
        return {**told["results"][0], "model": json.loads(told["outputs"][0]["output"])}

    def decline(self, *confirmations: str, customer: str = "alice") -> None:
        """The customer declines: an open one that moves money would stand before the next of the same customer."""
        for confirmation in confirmations:
            where = ["--customer", customer, "--data", str(self.data), "--url", self.url]
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                assert main(["dev", "decline", confirmation, *where]) == 0, printed.getvalue()

    def audit(self, *arguments: str) -> Any:
        """What `tellergate audit query` finds."""
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            where = ["--data", str(self.data), "--database", databases.url(self.data)]
            assert main(["audit", "query", *where, "--json", *why(self.data), *arguments]) == 0
        return json.loads(printed.getvalue())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served") / "data") as found:
        yield found


@contextlib.contextmanager
def serving(data: Path, *options: str, model: str | None = "http://127.0.0.1:9/v1") -> Iterator[Served]:
    """Such a server with its data in this folder. `model`: where no model is; without one the scripted model answers."""
    command = ["serve", "--dev", "--data", str(data), "--port", "0", "--json", "--audit-wait-ms", "20000"]
    command += ["--database", databases.url(data)]
    settings = data.parent / "settings.toml"
    limits = "proposals_waiting = 1000\nproposals_per_day = 1000\ncalls_per_minute = 100000\n"
    limits += "thread_writes_per_minute = 100000\n"
    limits += 'models = ["a-model"]\n'
    limits += f'model_url = "{model}"\nmodel_retries = 0\n' if model is not None else ""
    limits += "requests_per_minute = 1000000\nwaits_per_customer = 1000\nruns_per_customer = 10000\n"
    settings.write_text(limits)  # one customer's tests are no day of theirs, nor the fuzzing under their token a minute
    command += ["--config", str(settings), *options]
    with contextlib.ExitStack() as stack:
        if OPTIONS.core == "remote":
            command += stack.enter_context(sandbox_bank(data))
        _, said = stack.enter_context(started(*command))
        with httpx.Client(base_url=said["url"], timeout=WAITS_S) as client:
            yield Served(said["url"], data, client)
