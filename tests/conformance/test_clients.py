"""Two clients of the Assistants API that nobody here wrote, unmodified, against the real server: Semantic Kernel and LangChain."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.doors.conftest import Served
from tests.support.chatting import chatting, customer_token, scripted, service_token
from tests.support.clients import drive
from tests.support.models import Reply, Script, ScriptedModel, asks, last_words, outputs

GREETING, ACCOUNTS, SCREEN = "Good day. How can I help?", "These are your accounts.", "Your payments are on the screen."
SCRIPT: Script = {
    "Hello.": Reply(GREETING),
    "What accounts do I have?": (Reply(calls=(asks("list_accounts"),)), Reply(ACCOUNTS)),
    "Show me my payments.": (Reply(calls=(asks("show_screen", screen="payments"),)), Reply(SCREEN)),
}


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    with scripted(SCRIPT) as (made, _):
        yield made


@pytest.fixture(scope="module")
def served(model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with chatting(tmp_path_factory.mktemp("clients"), model) as made:
        yield made


@pytest.fixture(scope="module")
def driven(served: Served) -> Iterator[Any]:
    """Both at once: each is a customer of its own."""
    with ThreadPoolExecutor() as pool:
        asked = {
            peer: pool.submit(drive, peer, served.url, service_token(served), customer_token(served, customer))
            for peer, customer in (("semantic_kernel", "alice"), ("langchain", "bruno"))
        }
        yield lambda peer: asked[peer].result()


def test_semantic_kernel_polls_and_streams(driven: Any) -> None:
    saw = driven("semantic_kernel")
    assert saw["polled"] == GREETING
    assert (saw["polled_app"], saw["asked_by_polling"]) == ([SCREEN], ["payments"])
    assert saw["streamed"]["text"] == GREETING
    assert saw["streamed"]["pieces"] > 1, "it came in pieces"
    assert (saw["streamed_bank"]["text"], saw["streamed_bank"]["beside"]) == (ACCOUNTS, [])
    assert saw["streamed_app"]["text"] == SCREEN
    assert saw["streamed_app"]["beside"] == ["FunctionCallContent", "FunctionResultContent"]
    assert saw["asked"] == ["payments", "payments"], "the app's function alone is the client's to execute"
    said = [text for role, text in saw["messages"] if role == "assistant"]
    assert said == [GREETING, SCREEN, GREETING, ACCOUNTS, SCREEN, ACCOUNTS]
    assert [text for role, text, name in saw["own_messages"] if (role, name) == ("assistant", "teller")] == said
    assert saw["runs"] == ["completed"] * 6
    assert saw["deleted"] is True


def test_semantic_kernel_cannot_poll_a_run_whose_calls_others_execute(driven: Any) -> None:
    """Its own assertion, which no server can help; the run itself has completed. It streams such a run as any other."""
    assert driven("semantic_kernel")["polled_bank"] == "AssertionError"


def test_langchain_as_a_runnable_and_as_an_agent(driven: Any) -> None:
    saw = driven("langchain")
    assert (saw["messages"], saw["bank"]) == ([GREETING], [ACCOUNTS])
    assert (saw["call"], saw["by_hand"]) == (["show_screen", {"screen": "payments"}], [SCREEN])
    assert (saw["agent"], saw["agent_bank"], saw["steps"]) == (SCREEN, ACCOUNTS, ["actions", "steps", "output"])
    assert (saw["v2"], saw["v2_agent"]) == (GREETING, SCREEN)
    assert saw["asked"] == ["payments"] * 3, "the app's function alone is the client's to execute"
    assert saw["runs"] == ["completed"] * 5
    assert (saw["thread_deleted"], saw["deleted"]) == (True, True)


def test_the_model_read_the_bank_s_own_answer_and_the_app_s_claims(driven: Any, model: ScriptedModel) -> None:
    for peer in ("semantic_kernel", "langchain"):
        driven(peer)
    told: dict[str, set[str]] = {}
    for item in model.seen:
        told.setdefault(last_words(item.body), set()).update(outputs(item.body))
    assert told["Hello."] == set()
    assert told["Show me my payments."] == {'{"shown": "payments"}', "by hand"}
    assert all("accounts" in json.loads(answer)["result"] for answer in told["What accounts do I have?"])
