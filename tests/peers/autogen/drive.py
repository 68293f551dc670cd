"""AutoGen's `OpenAIAssistantAgent` against a gateway: BASE_URL CUSTOMER_KEY FOLDER. Prints what it saw, as JSON.

One token for everything, so that the assistants are the customer's own. As its example does: a file uploaded for the code interpreter and
analysed, one for file search and asked about, a function of the app's own; then all of it deleted.
"""

import asyncio
import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")

from autogen_agentchat.messages import TextMessage  # noqa: E402
from autogen_core import CancellationToken  # noqa: E402
from autogen_ext.agents.openai import OpenAIAssistantAgent  # noqa: E402
from openai import AsyncOpenAI  # noqa: E402

asked: list[str] = []


async def show_screen(screen: str) -> str:
    """Opens a screen of the app."""
    asked.append(screen)
    return json.dumps({"shown": screen})


async def drive(base_url: str, key: str, folder: Path) -> dict[str, Any]:
    saw: dict[str, Any] = {item: version(item) for item in ("autogen-ext", "autogen-agentchat", "openai")}
    client, until = AsyncOpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0), CancellationToken()

    def made(**options: Any) -> OpenAIAssistantAgent:
        return OpenAIAssistantAgent(
            name="Teller", description="Helps", client=client, model="scripted", instructions="Help.", **options
        )

    async def said(agent: OpenAIAssistantAgent, words: str) -> tuple[str, list[str]]:
        response = await agent.on_messages([TextMessage(source="user", content=words)], until)
        return response.chat_message.content, [type(event).__name__ for event in response.inner_messages or ()]

    agent = made(tools=["code_interpreter", "file_search", show_screen])
    await agent.on_upload_for_code_interpreter(str(folder / "spent.csv"), until)
    saw["drawn"], _ = await said(agent, "Draw my table.")
    await agent.on_upload_for_file_search(str(folder / "cards.txt"), until)
    saw["looked_up"], _ = await said(agent, "What do the terms say about a lost card?")
    saw["screen"], saw["events"] = await said(agent, "Show me my payments.")
    state = await agent.save_state()
    again = made()
    await again.load_state(state)
    saw["again"], _ = await said(again, "Solve the equation 3x + 11 = 14.")
    saw["asked"] = asked
    await agent.on_reset(until)
    saw["left"] = len((await client.beta.threads.messages.list(state["thread_id"])).data)
    await agent.delete_uploaded_files(until)
    await agent.delete_vector_store(until)
    await agent.delete_assistant(until)
    files = {file.id: file.purpose async for file in client.files.list()}
    saw["uploaded"], saw["made"] = len(state["uploaded_file_ids"]), list(files.values()).count("assistants_output")
    saw["kept"] = [id_ for id_ in state["uploaded_file_ids"] if id_ in files]
    saw["stores"] = [store.id async for store in client.vector_stores.list() if store.id == state["vector_store_id"]]
    await client.close()
    return saw


print(json.dumps(asyncio.run(drive(sys.argv[1], sys.argv[2], Path(sys.argv[3])))))
