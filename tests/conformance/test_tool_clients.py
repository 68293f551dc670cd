"""The assistants' own tools as clients that nobody here wrote ask for them, unmodified, against the real server: OpenAI's for JavaScript,
LlamaIndex's and AutoGen's, with their examples with files and code; the model is scripted."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gateway.code.jailed import PACKAGES as CODE_PACKAGES
from tests.doors.conftest import Served
from tests.support import clients, peers
from tests.support.assisted import OWN
from tests.support.chatting import chatting, customer_token, scripted, service_token
from tests.support.jails import jail
from tests.support.models import Reply, asks, last_words, outputs
from tests.support.waiting import RUNS_S

Driven = Callable[[str], dict[str, Any]]

SCREEN = "Your payments are on the screen."
SOLVED = "x = 1"
SOLVING = "x = (14 - 11) // 3\nprint(f'x = {x}')"
DRAWING = """\
import matplotlib.pyplot as plt
import pandas as pd
frame = pd.read_csv('/mnt/data/spent.csv')
print(int(frame['spent'].sum()))
frame.plot(x='month', y='spent')
plt.show()
frame.to_csv('/mnt/data/sums.csv', index=False)
"""
TABLE = "month,spent\n1,120\n2,80\n3,95\n"
CARDS = "A lost card costs ten euros."
DRAWN = "It is 295: [the table](sandbox:/mnt/data/sums.csv)."
CODES = {"Solve the equation 3x + 11 = 14.": SOLVING, "Draw my table.": DRAWING}


def answering(body: dict[str, Any]) -> Reply:
    """A model that does what the examples ask for, and cites what it found."""
    words, told = last_words(body), [json.loads(output) for output in outputs(body)]
    if words == "Show me my payments.":
        return Reply(SCREEN) if told else Reply(calls=(asks("show_screen", screen="payments"),))
    if words in CODES and not told:
        return Reply(calls=(asks("code_interpreter", code=CODES[words]),), fragments=20)
    if words in CODES:
        result = told[0]["result"]
        printed = next(text["untrusted_text"] for name, text in result.items() if name.endswith("logs"))
        links = "".join(f": [the table]({file['path']})" for file in result["files"] if not file["image"])
        return Reply(f"It is {printed.strip()}{links}." if links else printed.strip(), fragments=20)
    if not told:
        return Reply(calls=(asks("file_search", query="lost card"),))
    mark = "🏦 " if "picture" in words else ""
    return Reply(f"{mark}Ten euros {told[0]['result']['results'][0]['cite']}, and no more.", fragments=20)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    jail(CODE_PACKAGES)
    with (
        scripted(answering) as (model, _),
        chatting(tmp_path_factory.mktemp("clients"), model, 'code_interpreter = "python"\n') as made,
    ):
        yield made


@pytest.fixture(scope="module")
def driven(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    """All at once: each is a customer of its own."""
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "spent.csv").write_text(TABLE)
    (folder / "cards.txt").write_text(CARDS)

    def own(customer: str) -> str:
        return customer_token(served, customer, scope=f"{OWN} assistants")

    with ThreadPoolExecutor() as pool:
        asked = {
            "openai_node": pool.submit(node, served.url, service_token(served), customer_token(served, "alice")),
            "llama_index": pool.submit(clients.drive, "llama_index", served.url, own("bruno"), str(folder)),
            "autogen": pool.submit(clients.drive, "autogen", served.url, own("carla"), str(folder)),
        }
        yield lambda peer: asked[peer].result()


def node(*arguments: str) -> dict[str, Any]:
    place = peers.installed("openai_node", "openai", "drive.mjs")
    command = [shutil.which("node") or "node", "drive.mjs", *arguments]
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=RUNS_S, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    saw: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return saw


def test_javascript_keeps_files_and_searches_them(driven: Driven) -> None:
    saw = driven("openai_node")
    assert saw["content"] == "We are open from nine to five.\n"
    assert saw["indexed"] == ["processed", "completed", "completed", 3]
    assert (saw["found"][0], saw["listed"]) == ("cards.txt", ["completed"] * 4)
    assert saw["upload"] == ["completed", "spent.csv", len(TABLE)]
    assert saw["deleted"] is True


def test_javascript_reads_citations_polled_and_streamed(driven: Driven) -> None:
    """Indices count code points: by units of UTF-16, as JavaScript counts, they hold as far as nothing stands before that needs two."""
    saw = driven("openai_node")
    (polled,), (streamed,) = saw["polled"]["cuts"], saw["streamed"]["cuts"]
    assert (saw["polled"]["status"], saw["streamed"]["status"], saw["cited"]) == ("completed", "completed", "cards.txt")
    assert polled["units"] == polled["points"] == polled["text"]
    assert streamed["points"] == streamed["text"] != streamed["units"]
    assert saw["streamed"]["heard"] == saw["streamed"]["value"]
    assert saw["streamed"]["value"].startswith("🏦 Ten euros 【")
    assert saw["streamed"]["passage"] == CARDS


def test_javascript_has_code_as_it_is_written_and_what_it_made(driven: Driven) -> None:
    saw = driven("openai_node")
    assert saw["code"]["input"] == saw["code"]["pieces"]["code"] == DRAWING
    assert (saw["code"]["pieces"]["logs"].strip(), saw["code"]["pieces"]["images"]) == ("295", 1)
    assert [(note["type"], note["units"]) for note in saw["code"]["cuts"]] == [("file_path", "sandbox:/mnt/data/sums.csv")]
    assert (saw["image"], saw["table"]) == ("PNG", TABLE)


def test_llama_index_calculates_draws_and_looks_up(driven: Driven) -> None:
    saw = driven("llama_index")
    assert (saw["solved"], saw["again"], saw["drawn"]) == (SOLVED, SOLVED, DRAWN)
    assert saw["looked_up"].startswith("Ten euros 【")
    assert (saw["cited"], saw["cut"], saw["screen"], saw["asked"]) == ([True], [True], SCREEN, ["payments"])
    assert saw["history"] == ["user", "assistant", "user", "assistant", "user", "user", "assistant", "user", "user", "assistant"]


def test_autogen_analyses_a_file_and_searches_another(driven: Driven) -> None:
    saw = driven("autogen")
    assert (saw["drawn"], saw["again"]) == (DRAWN, SOLVED)
    assert saw["looked_up"].startswith("Ten euros 【")
    assert (saw["screen"], saw["asked"]) == (SCREEN, ["payments"])
    assert saw["events"] == ["ToolCallRequestEvent", "ToolCallExecutionEvent"]
    assert saw["left"] == 0, "the thread as it began"
    assert (saw["uploaded"], saw["kept"], saw["stores"]) == (2, [], []), "what it uploaded is gone"
    assert saw["made"] == 2, "what code made is the customer's"
