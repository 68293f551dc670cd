"""LangChain's assistants classes against a window: BASE_URL SERVICE_KEY CUSTOMER_KEY. Prints what it saw, as JSON.

Both of them poll: LangChain has no stream of a run, only of the agent's own steps. `OpenAIAssistantRunnable` is of langchain-classic,
`OpenAIAssistantV2Runnable` of langchain-community, which says of itself that it ends.
"""

import json
import sys
import urllib.request
import warnings
from importlib.metadata import version
from typing import Any

from langchain_classic.agents import AgentExecutor
from langchain_classic.agents.openai_assistant import OpenAIAssistantRunnable
from langchain_core.tools import tool
from openai import AsyncOpenAI, OpenAI

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from langchain_community.agents.openai_assistant import OpenAIAssistantV2Runnable

BANKING = "list_accounts"
asked: list[str] = []


@tool
def show_screen(screen: str) -> str:
    """Opens a screen of the app."""
    asked.append(screen)
    return json.dumps({"shown": screen})


def declared(base_url: str, key: str) -> list[dict[str, Any]]:
    """The window's own definition of the banking function."""
    question = urllib.request.Request(f"{base_url}/v1/functions?shape=assistants", headers={"authorization": f"Bearer {key}"})
    with urllib.request.urlopen(question, timeout=10) as answer:
        return [item for item in json.load(answer)["data"] if item["function"]["name"] == BANKING]


def drive(base_url: str, service_key: str, customer_key: str) -> dict[str, Any]:
    where = {"base_url": f"{base_url}/v1", "max_retries": 0}
    service, customer = OpenAI(api_key=service_key, **where), OpenAI(api_key=customer_key, **where)
    saw: dict[str, Any] = {item: version(item) for item in ("langchain-classic", "langchain-community", "openai")}
    made = OpenAIAssistantRunnable.create_assistant(
        "teller", "Help.", [*declared(base_url, customer_key), show_screen], "scripted", client=service
    )
    at = {
        "assistant_id": made.assistant_id,
        "client": customer,
        "async_client": AsyncOpenAI(api_key=customer_key, **where),
        "check_every_ms": 20,
    }
    plain, agent = OpenAIAssistantRunnable(**at), OpenAIAssistantRunnable(as_agent=True, **at)
    executor = AgentExecutor(agent=agent, tools=[show_screen])

    first = plain.invoke({"content": "Hello."})
    thread = first[0].thread_id
    saw["messages"] = texts(first)
    saw["bank"] = texts(plain.invoke({"content": "What accounts do I have?", "thread_id": thread}))
    (call,) = plain.invoke({"content": "Show me my payments.", "thread_id": thread})
    saw["call"] = [call.function.name, json.loads(call.function.arguments)]
    waiting = customer.beta.threads.runs.list(thread, limit=1).data[0]
    outputs = [{"tool_call_id": call.id, "output": "by hand"}]
    saw["by_hand"] = texts(plain.invoke({"tool_outputs": outputs, "run_id": waiting.id, "thread_id": thread}))

    saw["agent"] = executor.invoke({"content": "Show me my payments.", "thread_id": thread})["output"]
    saw["agent_bank"] = executor.invoke({"content": "What accounts do I have?"})["output"]
    steps = list(executor.stream({"content": "Show me my payments.", "thread_id": thread}))
    saw["steps"] = [next(iter(step)) for step in steps]
    saw["asked"] = asked

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        second = OpenAIAssistantV2Runnable(as_agent=True, **at)
    saw["v2"] = second.invoke({"content": "Hello."}).return_values["output"]
    saw["v2_agent"] = AgentExecutor(agent=second, tools=[show_screen]).invoke({"content": "Show me my payments."})["output"]

    saw["runs"] = [item.status for item in customer.beta.threads.runs.list(thread, order="asc")]
    saw["thread_deleted"] = customer.beta.threads.delete(thread).deleted
    saw["deleted"] = service.beta.assistants.delete(made.assistant_id).deleted
    return saw


def texts(messages: Any) -> list[str]:
    return [part.text.value for message in messages for part in message.content]


print(json.dumps(drive(*sys.argv[1:])))
