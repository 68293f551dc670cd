"""OpenAI's Agents SDK and LangChain's `create_agent` against a gateway: BASE_URL CUSTOMER_KEY AGENT_KEY. Prints what they saw, as JSON.

The Agents SDK over Chat Completions and over the Model Context Protocol, LangChain over Chat Completions.
"""

import asyncio
import json
import sys
from importlib.metadata import version
from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI

BALANCE, SCREEN = "What do I have?", "Show me my payments."
shown: dict[str, list[str]] = {"agents": [], "langchain": []}


@function_tool
def show_screen(screen: str) -> str:
    """Opens a screen of the app."""
    shown["agents"].append(screen)
    return "shown"


@function_tool
def list_accounts() -> str:
    """The bank's own: never asked of the client."""
    raise AssertionError


@tool("show_screen")
def showing(screen: str) -> str:
    """Opens a screen of the app."""
    shown["langchain"].append(screen)
    return "shown"


@tool("list_accounts")
def listing() -> str:
    """The bank's own: never asked of the client."""
    raise AssertionError


async def over_chat(base_url: str, key: str) -> dict[str, Any]:
    client = AsyncOpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0)
    model = OpenAIChatCompletionsModel(model="scripted", openai_client=client)
    agent = Agent(name="teller", instructions="Help.", model=model, tools=[show_screen, list_accounts])
    saw = {"balance": (await Runner.run(agent, BALANCE)).final_output, "app": (await Runner.run(agent, SCREEN)).final_output}
    streamed = Runner.run_streamed(agent, SCREEN)
    async for _ in streamed.stream_events():
        pass
    return {**saw, "streamed": streamed.final_output}


async def over_mcp(base_url: str, key: str) -> dict[str, Any]:
    params: Any = {"url": f"{base_url}/mcp", "headers": {"authorization": f"Bearer {key}"}, "timeout": 30}
    async with MCPServerStreamableHttp(params=params) as server:
        tools = await server.list_tools()
        called = await server.call_tool("list_accounts", {})
        content: Any = called.content[0]
        return {"tools": len(tools), "ok": json.loads(content.text)["ok"]}


async def langchain(base_url: str, key: str) -> dict[str, Any]:
    model = ChatOpenAI(model="scripted", base_url=f"{base_url}/v1", api_key=key, max_retries=0)
    agent: Any = create_agent(model, [showing, listing])
    saw: dict[str, Any] = {}
    for name, words in (("balance", BALANCE), ("app", SCREEN)):
        answered = await agent.ainvoke({"messages": [{"role": "user", "content": words}]})
        saw[name] = answered["messages"][-1].text
    pieces = [piece.text async for piece in model.astream(BALANCE)]
    return {**saw, "streamed": "".join(pieces)}


async def main(base_url: str, customer: str, agent: str) -> None:
    set_tracing_disabled(True)
    saw: dict[str, Any] = {name: version(name) for name in ("openai-agents", "langchain", "langchain-openai")}
    saw |= {"chat": await over_chat(base_url, customer), "mcp": await over_mcp(base_url, agent)}
    saw |= {"langchain": await langchain(base_url, customer), "shown": shown}
    print(json.dumps(saw))


asyncio.run(main(*sys.argv[1:]))
