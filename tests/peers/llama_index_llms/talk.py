"""LlamaIndex's `FunctionAgent` with models of both doors, as `talking` puts it through its cases."""

import warnings
from collections.abc import Sequence
from typing import Any

warnings.simplefilter("ignore")  # before the imports, which warn

from llama_index.core.agent.workflow import AgentStream, FunctionAgent  # noqa: E402
from llama_index.core.tools import FunctionTool  # noqa: E402
from llama_index.core.workflow import Context  # noqa: E402
from llama_index.llms.openai import OpenAI, OpenAIResponses  # noqa: E402
from talking import BANKING, Place, Talk, main, never  # noqa: E402

MODEL = "gpt-4.1"
"""One that it knows: it asks its own table how long a context may be. The gateway takes any name."""


class LlamaChat(Talk):
    client, door = "LlamaIndex `FunctionAgent`", "Chat Completions"
    model: Any = OpenAI

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        tools: Any = [FunctionTool.from_defaults(tool) for tool in (self.show_screen, *map(never, BANKING))]
        model = self.model(model=MODEL, api_base=place.base_url, api_key=place.words, max_retries=0)
        self.agent = FunctionAgent(tools=tools, llm=model, system_prompt="Help.", streaming=True)
        self.whole = FunctionAgent(tools=tools, llm=model, system_prompt="Help.", streaming=False)
        self.context = Context(self.whole)

    async def ask(self, words: str) -> str:
        return str(await self.whole.run(words, ctx=self.context))

    async def stream(self, words: str) -> Sequence[str]:
        running = self.agent.run(words)
        pieces = [event.delta async for event in running.stream_events() if isinstance(event, AgentStream)]
        await running
        return pieces


class LlamaResponses(LlamaChat):
    door, model = "Responses", OpenAIResponses


main(LlamaChat, LlamaResponses)
