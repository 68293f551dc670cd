"""LlamaIndex's `OpenAIAssistantAgent` against a gateway: BASE_URL CUSTOMER_KEY FOLDER. Prints what it saw, as JSON.

It is of llama-index-agent-openai, the last release that has it, and makes its own client out of the environment: one token for everything,
so that the assistants are the customer's own. As its examples do: a calculation by code, and a question to a file that is attached.
"""

import json
import os
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")

from llama_index.agent.openai import OpenAIAssistantAgent  # noqa: E402
from llama_index.core.tools import FunctionTool  # noqa: E402

asked: list[str] = []


def show_screen(screen: str) -> str:
    """Opens a screen of the app."""
    asked.append(screen)
    return json.dumps({"shown": screen})


def drive(folder: Path) -> dict[str, Any]:
    saw: dict[str, Any] = {item: version(item) for item in ("llama-index-agent-openai", "llama-index-core", "openai")}
    table, terms = folder / "spent.csv", folder / "cards.txt"
    both = [{"type": "code_interpreter"}, {"type": "file_search"}]
    agent = OpenAIAssistantAgent.from_new(
        name="Teller", instructions="Help.", openai_tools=both, tools=[FunctionTool.from_defaults(show_screen)], model="scripted"
    )
    saw["solved"] = agent.chat("Solve the equation 3x + 11 = 14.").response
    saw["screen"] = agent.chat("Show me my payments.").response
    (table_id,), (terms_id,) = agent.upload_files([str(table)]), agent.upload_files([str(terms)])
    agent.add_message("Here is my table.", file_ids=[table_id], tools=[{"type": "code_interpreter"}])
    saw["drawn"] = agent.chat("Draw my table.").response
    agent.add_message("Here are the terms.", file_ids=[terms_id])
    saw["looked_up"] = agent.chat("What do the terms say about a lost card?").response
    last = agent.latest_message.additional_kwargs["thread_message"].content[-1].text
    saw["cited"] = [note.file_citation.file_id == terms_id for note in last.annotations]
    saw["cut"] = [last.value[note.start_index : note.end_index] == note.text for note in last.annotations]
    saw["history"] = [message.role.value for message in agent.chat_history]
    again = OpenAIAssistantAgent.from_existing(agent.assistant.id, thread_id=agent.thread_id)
    saw["again"] = again.chat("Solve the equation 3x + 11 = 14.").response
    saw["asked"] = asked
    agent.reset()
    return saw


os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"] = f"{sys.argv[1]}/v1", sys.argv[2]
print(json.dumps(drive(Path(sys.argv[3]))))
