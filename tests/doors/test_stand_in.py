"""Without a model: development mode has a stand-in that says what it is; elsewhere nothing is run, and no client asks again."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from gateway.app.development.composition import DEVELOPMENT
from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.development.scripted_model import HELP, MODEL
from gateway.app.development.settings import development
from gateway.app.production import PRODUCTION
from gateway.app.settings import Settings
from gateway.app.settings_checks import findings
from gateway.code.jailed import PACKAGES as CODE_PACKAGES
from tests.support.assisted import OWN, function, served
from tests.support.jails import jail
from tests.support.teller import teller

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

FUNCTIONS = ("list_accounts", "get_account_balance", "list_beneficiaries", "list_transactions", "initiate_transfer")


@asynccontextmanager
async def clients(folder: Path, **changes: Any) -> AsyncIterator[tuple[AsyncOpenAI, AsyncOpenAI, list[str]]]:
    """The bank's back end, alice, and the requests that were sent."""
    sent: list[str] = []

    async def note(request: Any) -> None:
        sent.append(f"{request.method} {request.url.path}")

    async with teller(folder, **changes) as asked, served(asked.gateway) as url:
        issuer = LocalIssuer(asked.gateway.settings.data)
        keys = (issuer.token("dev-app", agent=None, scope="assistants"), issuer.token("alice", agent=None, strong=True, scope=OWN))
        http = httpx2.AsyncClient(event_hooks={"request": [note]})
        service, own = (AsyncOpenAI(base_url=f"{url}/v1", api_key=key, http_client=http, max_retries=2) for key in keys)
        yield service, own, sent
        await http.aclose()


async def talk(
    service: AsyncOpenAI, own: AsyncOpenAI, words: str, functions: tuple[str, ...] = FUNCTIONS, **rest: Any
) -> tuple[Any, str]:
    tools: Any = [{"type": name} if name in ("file_search", "code_interpreter") else function(name) for name in functions]
    assistant = await service.beta.assistants.create(model="gpt-4o", tools=tools, **rest)
    thread = await own.beta.threads.create(messages=[{"role": "user", "content": words}])
    run = await own.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=50)
    messages = await own.beta.threads.messages.list(thread.id)
    content: Any = messages.data[0].content[-1]
    return run, content.text.value


async def test_the_stand_in_answers_and_says_that_it_is_one(tmp_path: Path) -> None:
    async with clients(tmp_path / "data") as (service, own, _):
        run, text = await talk(service, own, "Good day")
        assert (run.status, run.model, text) == ("completed", MODEL, HELP)
        assert "stand-in" in MODEL
        assert "no model" in HELP
        _, text = await talk(service, own, "What is the balance of my account?")
        assert text.startswith("Your Everyday account holds ")
        _, text = await talk(service, own, 'Move 1.00 GBP from "Everyday" to "Rainy day".')
        assert text == "Done."
        _, text = await talk(service, own, 'Move 1.00 GBP from "Everyday" to "Elsewhere".')
        assert text == "There is no account of this name: Elsewhere. There are: Everyday, Rainy day, Kyoto trip."
        _, text = await talk(service, own, 'Pay 2.00 GBP to "Nobody".')
        assert text.startswith("There is no payee of this name. There are: ")
        _, text = await talk(service, own, "What did I spend on lately?")
        assert text == "You spent on the usual things.", "what a memo commands was refused"
        _, text = await talk(service, own, "What is the balance?", functions=("list_beneficiaries",))
        assert text == "This assistant may not call list_accounts: add it to the assistant's functions."


async def test_the_stand_in_uses_the_tools_that_it_was_given_and_no_other(tmp_path: Path) -> None:
    async with clients(tmp_path / "data", code_interpreter="compute") as (service, own, _):
        _, text = await talk(service, own, "Calculate the first 20 Fibonacci numbers", ("code_interpreter",))
        assert text.startswith("The first 20 Fibonacci numbers: [0, 1, 1, 2, 3, 5, 8, 13, 21,")
        assert text.endswith("2584, 4181]")
        wanted = ("list_accounts", "get_spending_summary", "code_interpreter")
        run, text = await talk(service, own, "Draw my spending of the last year.", wanted)
        assert run.status == "completed"
        assert re.match(r"This is what you spent in the last 12 months, by category.\n[\w ]+ #+ \d", text), text
        _, text = await talk(service, own, "Draw my spending of the last year.", wanted[:2])
        assert text == "This assistant may not call code_interpreter: add it to the assistant's functions."
        store = (await service.vector_stores.create(name="Terms")).id
        file = ("cards.txt", b"A lost card is replaced within five days, for ten euros.")
        await service.vector_stores.files.upload_and_poll(vector_store_id=store, file=file, poll_interval_ms=50)
        asked = "What do the terms say about a lost card?"
        named: Any = {"file_search": {"vector_store_ids": [store]}}
        _, text = await talk(service, own, asked, ("file_search",), tool_resources=named)
        assert re.fullmatch(
            r"Your documents say: “A lost card is replaced within five days, for ten euros\.” 【\d+:\d+†source】", text
        )
        _, text = await talk(service, own, asked, ("file_search",))
        assert text == "I found nothing about this in your documents."
        _, text = await talk(service, own, asked, ("list_accounts",))
        assert text == "This assistant may not call file_search: add it to the assistant's functions."


async def test_the_stand_in_draws_where_there_is_something_to_draw_with(tmp_path: Path) -> None:
    jail(CODE_PACKAGES)
    async with clients(tmp_path / "data", code_interpreter="python") as (service, own, _):
        wanted = ("list_accounts", "get_spending_summary", "code_interpreter")
        run, _ = await talk(service, own, "Draw my spending of the last year.", wanted)
        picture, text = (await own.beta.threads.messages.list(run.thread_id)).data[0].content
        assert picture.type == "image_file"
        assert text.type == "text"
        assert text.text.value == (
            "This is what you spent in the last 12 months, by category.\n[spending.csv](sandbox:/mnt/data/spending.csv)"
        )
        (path,) = text.text.annotations
        assert path.type == "file_path"
        table = await own.files.content(path.file_path.file_id)
        assert re.match(r'"[\w ]+",\d+\.\d+\n', table.text), table.text


async def test_without_a_model_a_run_is_refused_and_asked_for_once(tmp_path: Path) -> None:
    async with clients(tmp_path / "data", stand_in_model=False) as (service, own, sent):
        assistant = await service.beta.assistants.create(model="gpt-4o")
        thread = await own.beta.threads.create()
        for number, asked in enumerate(
            (
                lambda: own.beta.threads.runs.create(thread.id, assistant_id=assistant.id),
                lambda: own.beta.threads.create_and_run(assistant_id=assistant.id),
            ),
            1,
        ):
            with pytest.raises(openai.APIStatusError) as raised:
                await asked()
            assert (raised.value.status_code, raised.value.code) == (501, "no_model")
            assert "model_url" in raised.value.message
            assert len([line for line in sent if line.endswith("/runs")]) == number, "no client asks again"


def test_there_is_no_stand_in_outside_development_mode(tmp_path: Path) -> None:
    bank = Settings(data=tmp_path, development=False)
    assert bank.stand_in_model is False
    wrong = {finding.setting for finding in findings(replace(bank, stand_in_model=True))}
    assert wrong - {finding.setting for finding in findings(bank)} == {"stand_in_model"}
    assert PRODUCTION.stand_in(replace(bank, stand_in_model=True)) is None
    assert (DEVELOPMENT.stand_in(development(tmp_path)) or ("",))[0] == MODEL
