"""OpenAI's own client, its Agents SDK, LangChain's `create_agent` and LangGraph's graphs, as `talking` puts them through its cases."""

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import httpx
from agents import (
    Agent,
    ModelBehaviorError,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from agents.mcp import MCPServerStreamableHttp
from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from openai import AsyncOpenAI
from talking import BANKING, Place, Talk, main, never

warnings.simplefilter("ignore")
set_tracing_disabled(True)

SCREEN = {"type": "object", "properties": {"screen": {"type": "string"}}, "required": ["screen"]}


class OpenAIChat(Talk):
    client, door = "`openai` for Python", "Chat Completions"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.openai = AsyncOpenAI(base_url=place.base_url, api_key=place.words, max_retries=0)
        self.history: list[Any] = []
        self.held: str | None = None
        named = [{"name": name, "parameters": {"type": "object"}} for name in BANKING]
        self.tools: Any = [{"type": "function", "function": one} for one in (*named, {"name": "show_screen", "parameters": SCREEN})]

    async def ask(self, words: str) -> str:
        self.history.append({"role": "user", "content": words})
        while True:
            answer = await self.openai.chat.completions.create(model="scripted", messages=self.history, tools=self.tools)
            message = answer.choices[0].message
            self._holds(answer.model_extra)
            self.history.append(message.model_dump(exclude_none=True))
            if not message.tool_calls:
                return message.content or ""
            self._answered([call.model_dump() for call in message.tool_calls])

    async def stream(self, words: str) -> Sequence[str]:
        pieces: list[str] = []
        self.history.append({"role": "user", "content": words})
        while True:
            calls: list[dict[str, Any]] = []
            asked = self.openai.chat.completions.stream(model="scripted", messages=self.history, tools=self.tools)
            async with asked as stream:
                pieces += [event.delta async for event in stream if event.type == "content.delta"]
                message = (await stream.get_final_completion()).choices[0].message
            self.history.append(message.model_dump(exclude_none=True))
            calls = [call.model_dump() for call in message.tool_calls or ()]
            if not calls:
                return pieces
            self._answered(calls)

    def _answered(self, calls: Sequence[dict[str, Any]]) -> None:
        for call in calls:
            assert call["function"]["name"] == "show_screen", call
            self.history.append({"role": "tool", "tool_call_id": call["id"], "content": self.show_screen("payments")})

    def _holds(self, extra: Any) -> None:
        self.held = next((item["url"] for item in extra["tellergate"]["confirmations"]), self.held)

    def page(self) -> str | None:
        return self.held

    async def close(self) -> None:
        await self.openai.close()


class OpenAIResponses(OpenAIChat):
    door = "Responses"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.previous: str | None = None
        self.tools = [{"type": "function", **one["function"], "strict": False} for one in self.tools]

    async def ask(self, words: str) -> str:
        given: Any = words
        while True:
            asked: Any = {"model": "scripted", "input": given, "tools": self.tools, "previous_response_id": self.previous}
            answer = await self.openai.responses.create(**asked)
            self.previous = answer.id
            self._holds(answer.model_extra)
            if not (given := self._outputs(answer)):
                return str(answer.output_text)

    async def stream(self, words: str) -> Sequence[str]:
        pieces: list[str] = []
        given: Any = words
        while given:
            asked: Any = {"model": "scripted", "input": given, "tools": self.tools}
            if self.previous:
                asked["previous_response_id"] = self.previous
            async with self.openai.responses.stream(**asked) as stream:
                pieces += [event.delta async for event in stream if event.type == "response.output_text.delta"]
                answer = await stream.get_final_response()
            self.previous, given = answer.id, self._outputs(answer)
        return pieces

    def _outputs(self, answer: Any) -> list[Any]:
        calls = [item for item in answer.output if item.type == "function_call"]
        assert all(call.name == "show_screen" for call in calls), calls
        return [{"type": "function_call_output", "call_id": call.call_id, "output": self.show_screen("payments")} for call in calls]


class AgentsChat(Talk):
    client, door = "OpenAI Agents SDK", "Chat Completions"
    model: Any = OpenAIChatCompletionsModel

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.openai = AsyncOpenAI(base_url=place.base_url, api_key=place.words, max_retries=0)
        self.history: list[Any] = []
        self.agent = self.made([function_tool(tool, strict_mode=False) for tool in (self.show_screen, *map(never, BANKING))])

    def made(self, tools: list[Any], **more: Any) -> Any:
        return Agent(
            name="teller", instructions="Help.", model=self.model(model="scripted", openai_client=self.openai), tools=tools, **more
        )

    async def ask(self, words: str) -> str:
        answer = await Runner.run(self.agent, [*self.history, {"role": "user", "content": words}])
        self.history = answer.to_input_list()
        return str(answer.final_output)

    async def stream(self, words: str) -> Sequence[str]:
        streamed = Runner.run_streamed(self.agent, [*self.history, {"role": "user", "content": words}])
        pieces = [
            event.data.delta
            async for event in streamed.stream_events()
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
        ]
        self.history = streamed.to_input_list()
        return pieces

    async def close(self) -> None:
        await self.openai.close()


class AgentsResponses(AgentsChat):
    door, model = "Responses", OpenAIResponsesModel

    async def ask(self, words: str) -> str:
        """A response that is incomplete, since a payment waits, is an error to this client: the app catches it, and goes on."""
        try:
            return await super().ask(words)
        except ModelBehaviorError as error:
            assert "response.incomplete" in str(error), error
            return type(error).__name__


class AgentsResponsesHeld(AgentsResponses):
    """By the metadata of its requests, which it sends as any other, such a response is complete."""

    door = "Responses, `tellergate.held`"

    def made(self, tools: list[Any], **more: Any) -> Any:
        return super().made(tools, model_settings=ModelSettings(metadata={"tellergate.held": "completed"}), **more)


class AgentsMcp(AgentsChat):
    """The bank's functions by the protocol; the model is the app's own, which streams alone."""

    door = "MCP"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.openai = AsyncOpenAI(base_url=place.model, api_key="none", max_retries=0)
        params: Any = {"url": f"{place.url}/mcp", "headers": {"authorization": f"Bearer {place.agent}"}, "timeout": 30}
        self.server = MCPServerStreamableHttp(params=params)
        self.conversation = ""

    async def begin(self) -> None:
        await self.server.connect()
        self.agent = self.made([function_tool(self.show_screen)], mcp_servers=[self.server])
        known = await self.server.call_tool("list_accounts", {})
        self.conversation = (known.meta or {})["tellergate/conversation"]

    async def stream(self, words: str) -> Sequence[str]:
        """The app puts what the customer says where the bank finds it, before its model reads it."""
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {self.place.words}"}) as http:
            said = {"messages": [{"text": words, "origin": "typed"}]}
            (await http.post(f"{self.place.base_url}/conversations/{self.conversation}/messages", json=said)).raise_for_status()
        return await super().stream(words)

    async def ask(self, words: str) -> str:
        await self.stream(words)
        return str(self.history[-1]["content"][0]["text"])

    async def close(self) -> None:
        await self.server.cleanup()
        await super().close()


class LangChainChat(Talk):
    client, door = "LangChain `create_agent`", "Chat Completions"
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        model = ChatOpenAI(model="scripted", base_url=place.base_url, api_key=place.words, max_retries=0, **self.options)
        self.at: Any = {"configurable": {"thread_id": "1"}}
        self.agent = self.made(model, [StructuredTool.from_function(tool) for tool in (self.show_screen, *map(never, BANKING))])

    def made(self, model: Any, tools: list[Any]) -> Any:
        return create_agent(model, tools, checkpointer=InMemorySaver())

    async def ask(self, words: str) -> str:
        answered = await self.agent.ainvoke({"messages": [{"role": "user", "content": words}]}, self.at)
        return str(answered["messages"][-1].text)

    async def stream(self, words: str) -> Sequence[str]:
        told = self.agent.astream({"messages": [{"role": "user", "content": words}]}, self.at, stream_mode="messages")
        return [piece.text async for piece, _ in told if isinstance(piece, AIMessageChunk)]


class LangChainResponses(LangChainChat):
    door, options = "Responses", {"use_responses_api": True}


class LangGraphChat(LangChainChat):
    client = "LangGraph `StateGraph`"

    def made(self, model: Any, tools: list[Any]) -> Any:
        bound = model.bind_tools(tools)

        async def answer(state: MessagesState) -> dict[str, Any]:
            return {"messages": [await bound.ainvoke(state["messages"])]}

        graph: Any = StateGraph(MessagesState)
        graph.add_node("answer", answer)
        graph.add_node("tools", ToolNode(tools))
        graph.add_edge(START, "answer")
        graph.add_conditional_edges("answer", tools_condition)
        graph.add_edge("tools", "answer")
        return graph.compile(checkpointer=InMemorySaver())


class LangGraphResponses(LangGraphChat):
    door, options = "Responses", {"use_responses_api": True}


main(
    OpenAIChat,
    OpenAIResponses,
    AgentsChat,
    AgentsResponses,
    AgentsResponsesHeld,
    AgentsMcp,
    LangChainChat,
    LangChainResponses,
    LangGraphChat,
    LangGraphResponses,
)
