"""`tellergate demo`: the embedded default and a scripted model, over the real HTTP API, offline: with the gateway's own client,
and the `openai` package.

The demo plays the bank's back end. With OPENAI_API_KEY and OPENAI_BASE_URL set, a real model takes the scripted one's place.

Owns the story and how it is told. Must never do what an app could not do over HTTP, save to look into the log and to confirm by the
software passkey of development mode.
"""

import json
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from openai import APIConnectionError, APIStatusError
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from audit.inspection import verify_store
from gateway.app.development.scripted_model import MODEL
from gateway.client import TellergateError, TellergateUnreachable
from gateway.commands.confirmations import intent_lines
from gateway.commands.demo.means import ToolMeans, tool_means
from gateway.commands.demo.servers import ModelEndpoint, RunningGateway, gateway_server, scripted_model_server
from gateway.commands.demo.story import CUSTOMER, DemoCall, DemoConversation, Scene
from gateway.commands.demo.tools import ToolScene, ToolStory
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, failed

_TOOLS = ("code_interpreter", "file_search")


def demo(*, once: bool, as_json: bool, data: Path | None) -> int:
    """Tell the story; 0 if everything held, else 1; 3 if the model does not answer. Without `once` the gateway stays until interrupted."""
    console = Console(quiet=as_json)
    with ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tellergate-")))
        model = _model(stack)
        means = tool_means()
        running = stack.enter_context(gateway_server(folder, model, means))
        try:
            result = _told(DemoConversation(running, folder, model), means, console)
        except APIConnectionError as error:
            where = model.url if str(error.request.url).startswith(model.url) else running.url
            return failed(f"nothing answers at {where}; see OPENAI_BASE_URL", UNAVAILABLE)
        except APIStatusError as error:
            return failed(f"{error.request.url.host} answered {error.status_code}: {error.message}", UNAVAILABLE)
        except TellergateError as refused:
            return failed(f"{refused.code}: {refused.message}", FINDING)
        except TellergateUnreachable:
            return failed(f"nothing answers at {running.url}", UNAVAILABLE)
        if as_json:
            print(json.dumps(result))
        _close(console, result)
        if not once and not as_json:
            _stay(console, running, folder)
    return GOOD if result["held"] else FINDING


def _told(conversation: DemoConversation, means: ToolMeans, console: Console) -> dict[str, Any]:
    name = conversation.where.name
    console.print(Panel(f"Model: {name}" + ("  (scripted: a few rules, no model)" if name == MODEL else "")))
    scenes = []
    for scene in conversation.scenes():
        _print(console, scene)
        scenes.append(scene)
    before = conversation.funds()
    attack = conversation.attack()
    after = conversation.funds()
    _print(console, attack)
    tried = [call for call in attack.calls if call.function == "initiate_transfer"]
    calls, states = conversation.by_threads()
    _print(console, Scene("The same by the Assistants API", "(two runs, polled and streamed)", ", ".join(states), calls))
    attack_held = before == after and all(call.status == "denied" for call in tried)
    runs_held = set(states) == {"completed"} and bool(calls) and all(call.status == "done" for call in calls)
    tools = list(_tools_told(conversation, means, console))
    confirmed = [result for scene in scenes for result in scene.confirmed]
    audit = _verified(conversation.running)
    honest = [call for scene in (*scenes, attack) for call in scene.calls if call not in tried]
    tools_held = all(scene.held for scene in tools)
    held = (
        audit["verified"] and attack_held and runs_held and tools_held and all(call.status in ("done", "held") for call in honest)
    )
    return {
        "model": name,
        "calls": [call.as_json() for call in honest],
        "confirmed": confirmed,
        "attack": {
            "said_by": "a memo in list_transactions",
            "tried": [call.as_json() for call in tried],
            "funds_before": before,
            "funds_after": after,
            "held": attack_held,
        },
        "runs": {"states": states, "calls": [call.as_json() for call in calls], "held": runs_held},
        "tools": {"scenes": [scene.as_json() for scene in tools], "missing": list(means.missing), "held": tools_held},
        "audit": audit,
        "held": bool(held and all(result["status"] == "done" for result in confirmed)),
    }


def _tools_told(conversation: DemoConversation, means: ToolMeans, console: Console) -> Iterator[ToolScene]:
    for scene in ToolStory(conversation, means).scenes():
        _print(console, Scene(scene.title, scene.words, scene.answer, scene.calls))
        for file in scene.files:
            console.print(f"  a file came back: {escape(file.name)}, {file.type}, {file.size} bytes", highlight=False)
        for cited in scene.cited:
            passage = escape(" ".join(cited.passage.split()))
            console.print(f"  {cited.mark} stands for this passage of {escape(cited.file)}:\n    {passage}", highlight=False)
        yield scene
    for sentence in means.missing:
        console.print(f"\n[yellow]{escape(sentence)}[/yellow]", highlight=False, soft_wrap=True)


def _model(stack: ExitStack) -> ModelEndpoint:
    key, url = os.environ.get("OPENAI_API_KEY"), os.environ.get("OPENAI_BASE_URL")
    if not key or not url:
        return ModelEndpoint(f"{stack.enter_context(scripted_model_server())}/v1", MODEL, "none", None)
    kept = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tellergate-"))) / "model.key"
    kept.touch(mode=0o600)
    kept.write_text(key)
    return ModelEndpoint(url, os.environ.get("OPENAI_MODEL", "gpt-4o"), key, kept)


def _verified(running: RunningGateway) -> dict[str, Any]:
    log = running.gateway.log
    running.on_loop(log.publish(force=True))
    findings = running.on_loop(verify_store(log))
    size, root = running.on_loop(log.head())
    return {"size": size, "root": root.hex(), "verified": not findings}


def _print(console: Console, scene: Scene) -> None:
    console.print(f"\n[bold]{scene.title}[/bold]")
    console.print(f"{CUSTOMER}: {escape(scene.words)}")
    for call in scene.calls:
        _print_call(console, call)
    console.print(f"assistant: {escape(scene.answer)}")
    if scene.intent is not None:
        console.print("\n  The customer opens the confirm page and reads:", highlight=False)
        for line in intent_lines(dict(scene.intent)):
            console.print(f"    {escape(line)}", highlight=False, soft_wrap=True)
        console.print("  They sign exactly that with their passkey (here one in software):", highlight=False)
        for result in scene.confirmed:
            console.print(f"    {result['call_id']}: [bold]{result['status']}[/bold]", highlight=False)


def _print_call(console: Console, call: DemoCall) -> None:
    by = ", ".join(call.policies) or call.reason or "the pipeline"
    console.print(f"  [bold]{escape(call.function)}[/bold]  {call.status}: {call.decision} by {escape(by)}; record {call.record}")
    given, came = ("the tool was given", "it gave           ") if call.function in _TOOLS else ("the core saw  ", "the model saw ")
    console.print(f"    {given} {_short(call.core_saw)}", highlight=False)
    console.print(f"    {came} {_short(call.model_saw)}", highlight=False)


def _short(value: object, most: int = 200) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return escape(text if len(text) <= most else text[: most - 1] + "…")


def _close(console: Console, result: Mapping[str, Any]) -> None:
    audit, attack = result["audit"], result["attack"]
    tried: Sequence[Mapping[str, Any]] = attack["tried"]
    answers = ", ".join(f"{call['code']} ({call['reason']})" for call in tried) or "nothing was tried"
    console.print(f"\nattack: a memo told the model to pay; the gateway answered {answers}; funds unchanged: {attack['held']}")
    console.print(f"trail: {audit['size']} records, root {audit['root'][:16]}…, verified: {audit['verified']}")
    console.print("[green]Everything held.[/green]" if result["held"] else "[red]Something did not hold.[/red]")


def _stay(console: Console, running: RunningGateway, folder: Path) -> None:
    console.print(f"\nThe gateway stays at {running.url}/ (open it in a browser); Ctrl-C ends it. A token for it:")
    console.print(f"  tellergate dev token --data {folder} --customer {CUSTOMER} --agent demo --level L2", soft_wrap=True)
    threading.Event().wait()
