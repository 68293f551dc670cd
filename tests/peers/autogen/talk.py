"""AutoGen's `AssistantAgent` with `OpenAIChatCompletionClient`, as `talking` puts it through its cases."""

from collections.abc import Sequence
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import ModelClientStreamingChunkEvent, TextMessage
from autogen_core import CancellationToken
from autogen_core.models import ModelFamily
from autogen_core.tools import FunctionTool
from autogen_ext.models.openai import OpenAIChatCompletionClient
from talking import BANKING, Place, Talk, main, never


class AutoGenChat(Talk):
    client, door = "AutoGen `AssistantAgent`", "Chat Completions"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        about: Any = {
            "vision": False,
            "function_calling": True,
            "json_output": True,
            "structured_output": True,
            "multiple_system_messages": True,
        }
        about["family"] = ModelFamily.UNKNOWN
        self.model = OpenAIChatCompletionClient(
            model="scripted", base_url=place.base_url, api_key=place.words, model_info=about, max_retries=0
        )
        banking = [FunctionTool(never(name), description="The bank's own.") for name in BANKING]
        self.tools: Any = [FunctionTool(self.show_screen, description="Opens a screen of the app."), *banking]
        self.agent = self.made()

    def made(self, **more: Any) -> AssistantAgent:
        return AssistantAgent("teller", self.model, tools=self.tools, reflect_on_tool_use=True, **more)

    async def ask(self, words: str) -> str:
        answer = await self.agent.on_messages([TextMessage(content=words, source="user")], CancellationToken())
        return answer.chat_message.to_text()

    async def stream(self, words: str) -> Sequence[str]:
        self.agent = self.made(model_client_stream=True)
        pieces, said = [], [TextMessage(content=words, source="user")]
        async for event in self.agent.on_messages_stream(said, CancellationToken()):
            if isinstance(event, ModelClientStreamingChunkEvent):
                pieces.append(event.content)
            elif isinstance(event, Response):
                assert "".join(pieces) == event.chat_message.to_text()
        return pieces

    async def close(self) -> None:
        await self.model.close()


main(AutoGenChat)
