"""Semantic Kernel's OpenAIAssistantAgent against a window: BASE_URL SERVICE_KEY CUSTOMER_KEY. Prints what it saw, as JSON.

Two things of Semantic Kernel shape this. Each run carries the kernel's functions as its tools, in place of the assistant's, each named
after its plugin, so that a function that the bank executes is declared in the kernel under its bare name. And polling takes every call
in the steps of a run for one that it was asked for: an assertion fails when somebody else executed it; streaming has no such mind.
"""

import asyncio
import json
import sys
import urllib.request
from importlib.metadata import version
from typing import Annotated, Any

from openai import AsyncOpenAI
from semantic_kernel import Kernel
from semantic_kernel.agents import AssistantAgentThread, OpenAIAssistantAgent
from semantic_kernel.agents.open_ai.run_polling_options import RunPollingOptions
from semantic_kernel.functions import kernel_function

BANKING = "list_accounts"


class App:
    """What the bank's app executes, and what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @kernel_function(name="show_screen", description="Opens a screen of the app.")
    def show_screen(self, screen: Annotated[str, "its name"]) -> str:
        self.asked.append(screen)
        return json.dumps({"shown": screen})


class Bank:
    """What the window executes: never called here."""

    @kernel_function(name=BANKING, description="The customer's accounts.")
    def list_accounts(self) -> str:
        raise AssertionError("the bank's function reached the client")


def kernel_of(app: App) -> Kernel:
    kernel = Kernel()
    for name, plugin in (("app", app), ("bank", Bank())):
        for function in kernel.add_plugin(plugin, name):
            function.metadata.plugin_name = None
    return kernel


def declared(base_url: str, key: str) -> list[dict[str, Any]]:
    """The window's own definition of the banking function."""
    asked = urllib.request.Request(f"{base_url}/v1/functions?shape=assistants", headers={"authorization": f"Bearer {key}"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return [item for item in json.load(answer)["data"] if item["function"]["name"] == BANKING]


async def drive(base_url: str, service_key: str, customer_key: str) -> dict[str, Any]:
    service = AsyncOpenAI(base_url=f"{base_url}/v1", api_key=service_key, max_retries=0)
    customer = AsyncOpenAI(base_url=f"{base_url}/v1", api_key=customer_key, max_retries=0)
    app, saw = App(), {"version": version("semantic-kernel"), "openai": version("openai")}
    screen = kernel_of(app).get_function("app", "show_screen").metadata
    tools = [
        *declared(base_url, customer_key),
        {
            "type": "function",
            "function": {
                "name": screen.name,
                "description": screen.description,
                "parameters": {"type": "object", "properties": {"screen": {"type": "string"}}, "required": ["screen"]},
            },
        },
    ]
    definition = await service.beta.assistants.create(model="scripted", name="teller", instructions="Help.", tools=tools)
    agent = OpenAIAssistantAgent(
        client=customer,
        definition=definition,
        kernel=kernel_of(app),
        polling_options=RunPollingOptions.model_validate({"run_polling_interval": 0.02, "run_polling_backoff": 0.05}),
    )
    thread = AssistantAgentThread(client=customer, metadata={"from": "semantic-kernel"})

    saw["polled"] = str((await agent.get_response("Hello.", thread=thread)).message)
    saw["polled_app"] = [str(item.message) async for item in agent.invoke("Show me my payments.", thread=thread)]
    saw["asked_by_polling"] = list(app.asked)

    saw["streamed"] = await streamed(agent, thread, "Hello.")
    saw["streamed_bank"] = await streamed(agent, thread, "What accounts do I have?")
    saw["streamed_app"] = await streamed(agent, thread, "Show me my payments.")
    saw["asked"] = app.asked
    try:
        saw["polled_bank"] = [str(item.message) async for item in agent.invoke("What accounts do I have?", thread=thread)]
    except AssertionError:
        saw["polled_bank"] = "AssertionError"

    saw["own_messages"] = [[item.role.value, str(item), item.name] async for item in thread.get_messages(sort_order="asc")]
    messages = await customer.beta.threads.messages.list(thread.id or "", order="asc", limit=100)
    saw["messages"] = [[item.role, item.content[0].text.value] for item in messages.data]
    saw["runs"] = [item.status async for item in customer.beta.threads.runs.list(thread.id or "", order="asc")]
    await thread.delete()
    saw["deleted"] = (await service.beta.assistants.delete(definition.id)).deleted
    return saw


async def streamed(agent: OpenAIAssistantAgent, thread: AssistantAgentThread, words: str) -> dict[str, Any]:
    """The text of one answer in the pieces in which it came, and the kinds of what was told beside it."""
    beside: list[str] = []

    async def heard(message: Any) -> None:
        beside.extend(type(item).__name__ for item in message.items)

    pieces = [str(entry.message) async for entry in agent.invoke_stream(words, thread=thread, on_intermediate_message=heard)]
    return {"text": "".join(pieces), "pieces": len(pieces), "beside": beside}


print(json.dumps(asyncio.run(drive(*sys.argv[1:]))))
