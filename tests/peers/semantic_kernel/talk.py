"""Semantic Kernel's `ChatCompletionAgent` and `OpenAIResponsesAgent`, as `talking` puts them through its cases.

Each function is declared under its bare name: one named after its plugin is none that the gateway knows.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from openai import AsyncOpenAI
from semantic_kernel import Kernel
from semantic_kernel.agents import ChatCompletionAgent, ChatHistoryAgentThread, OpenAIResponsesAgent, ResponsesAgentThread
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion
from semantic_kernel.exceptions.agent_exceptions import AgentInvokeException
from semantic_kernel.functions import kernel_function
from talking import BANKING, Place, Talk, main, never


def named(function: Any, name: str) -> Any:
    return kernel_function(name=name, description="The bank's own.")(function)


class KernelChat(Talk):
    client, door = "Semantic Kernel `ChatCompletionAgent`", "Chat Completions"
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.openai = AsyncOpenAI(base_url=place.base_url, api_key=place.words, max_retries=0)
        self.kernel = Kernel()

        @kernel_function(name="show_screen", description="Opens a screen of the app.")
        def shown(screen: str) -> str:
            return self.show_screen(screen)

        for function in self.kernel.add_functions(
            "app", [shown, *(named(never(name), name) for name in BANKING)]
        ).functions.values():
            function.metadata.plugin_name = None
        self.thread: Any = None
        self.agent = self.made()

    def made(self) -> Any:
        self.thread = ChatHistoryAgentThread()
        service = OpenAIChatCompletion(ai_model_id="scripted", async_client=self.openai)
        return ChatCompletionAgent(name="teller", instructions="Help.", kernel=self.kernel, service=service)

    async def ask(self, words: str) -> str:
        answer = await self.agent.get_response(words, thread=self.thread, **self.options)
        self.thread = answer.thread
        return str(answer.message)

    async def stream(self, words: str) -> Sequence[str]:
        return [str(item.message) async for item in self.agent.invoke_stream(words, thread=self.thread)]

    async def close(self) -> None:
        await self.openai.close()


class KernelResponses(KernelChat):
    client, door = "Semantic Kernel `OpenAIResponsesAgent`", "Responses"

    def made(self) -> Any:
        self.thread = None
        return OpenAIResponsesAgent(
            ai_model_id="scripted", name="teller", instructions="Help.", client=self.openai, kernel=self.kernel
        )

    async def ask(self, words: str) -> str:
        """A response that is incomplete, since a payment waits, is an error to this client: the app catches it, and goes on."""
        self.thread = self.thread or ResponsesAgentThread(client=self.openai)
        try:
            return await super().ask(words)
        except AgentInvokeException as error:
            assert "incomplete" in str(error), error
            return type(error).__name__


class KernelResponsesHeld(KernelResponses):
    """By the metadata of its requests, which it sends as any other, such a response is complete."""

    door = "Responses, `tellergate.held`"
    options: ClassVar[dict[str, Any]] = {"metadata": {"tellergate.held": "completed"}}


main(KernelChat, KernelResponses, KernelResponsesHeld)
