"""The whole way on a real server: asked by an assistant, confirmed by the customer's device, executed, and proved to an auditor."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.domain.principal import SCOPE_CONFIRM
from tests.doors.conftest import Served
from tests.support.asking import approved, why

pytest.importorskip("webauthn", reason="webauthn is absent")


def held(served: Served, amount: str, native_id: str) -> dict[str, Any]:
    """A transfer to a known payee, which waits for the customer."""
    conversation = served.conversation()
    accounts = served.call("list_accounts", {}, conversation=conversation)["model"]["result"]["accounts"]
    account = next(item["account"] for item in accounts if item["currency"] == "GBP" and item["status"] == "open")
    payees = served.call("list_beneficiaries", {"account": account}, conversation=conversation)["model"]["result"]["beneficiaries"]
    name = payees[0]["name"] if isinstance(payees[0]["name"], str) else next(iter(payees[0]["name"].values()))
    served.say(f"pay {name} {amount}", conversation=conversation)
    arguments = {"from": account, "to": payees[0]["beneficiary"], "amount": {"value": amount, "currency": "GBP"}}
    told = served.call("initiate_transfer", arguments, conversation=conversation, native_id=native_id)
    assert told["status"] == "held", told
    return told


def dev(served: Served, verb: str, confirmation: str, *rest: str, customer: str = "alice") -> tuple[int, str]:
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(printed):
        where = ["--customer", customer, "--data", str(served.data), "--url", served.url]
        status = main(["dev", verb, confirmation, *where, *rest])
    return status, printed.getvalue()


def test_a_held_transfer_is_confirmed_executed_once_and_proved(served: Served, tmp_path: Path) -> None:
    told = held(served, "3.21", "word-1")
    confirmation = told["confirmation_id"]
    status, said = dev(served, "confirm", confirmation)
    assert status == 0, said
    for words in ("Amount: 3.21 GBP  (you wrote it)", "To: ", "confirmed", f"{told['call_id']}: done"):
        assert words in said
    assert served.get(f"/v1/calls/{told['call_id']}").json()["status"] == "done"
    status, said = dev(served, "confirm", confirmation)
    assert (status, "confirmation_used" in said) == (1, True)
    assert dev(served, "decline", confirmation)[0] == 1

    spoken = [item for item in served.audit("--kind", "confirmation")["records"] if "passkey" in json.dumps(item)]
    record = next(item for item in spoken if item["leaf"]["facts"]["confirmation"] == confirmation)
    evidence = tmp_path / "evidence.json"
    evidence.write_text(revealed(served, record["index"]))
    page = served.url.replace("127.0.0.1", "localhost")
    assert verified(evidence, "--rp-id", "localhost", "--origin", page)["good"]
    held_ = verified(evidence, "--rp-id", "localhost", "--origin", page)
    enrolled = [item["leaf"]["facts"] for item in served.audit("--kind", "admin")["records"]]
    assert held_["public_key_sha256"] in {item.get("public_key_sha256") for item in enrolled}
    assert not verified(evidence, "--rp-id", "localhost", "--origin", served.url)["good"]
    evidence.write_text(evidence.read_text().replace("3.21", "3.22"))
    assert verified(evidence, "--rp-id", "localhost", "--origin", page)["finding"] == "the evidence is of another intent"


def test_a_declined_transfer_never_happens_and_is_not_asked_again(served: Served) -> None:
    told = held(served, "4.56", "word-2")
    status, said = dev(served, "decline", told["confirmation_id"], "--json")
    assert (status, json.loads(said)["state"]) == (0, "declined")
    assert served.get(f"/v1/calls/{told['call_id']}").json()["status"] == "denied"
    status, said = dev(served, "confirm", told["confirmation_id"])
    assert (status, "confirmation_declined" in said) == (1, True)


def test_nobody_else_finds_it(served: Served) -> None:
    told = held(served, "5.67", "word-3")
    path = f"/v1/confirmations/{told['confirmation_id']}"
    agent = served.get(path, token=served.token(scope=SCOPE_CONFIRM))
    assert (agent.status_code, agent.json()["error"]["code"]) == (403, "insufficient_scope")
    assert served.get(path).status_code == 403
    status, said = dev(served, "confirm", told["confirmation_id"], customer="bob")
    assert (status, "not_found" in said) == (1, True)
    assert dev(served, "decline", told["confirmation_id"])[0] == 0


def test_without_a_server_it_says_so(served: Served) -> None:
    where = ["--customer", "alice", "--data", str(served.data), "--url", "http://127.0.0.1:9"]
    with contextlib.redirect_stderr(io.StringIO()) as printed:
        assert main(["dev", "confirm", "cnf_x", *where]) == 3
    assert "nothing answers" in printed.getvalue()


def revealed(served: Served, index: int) -> str:
    status, printed = approved(served.data, "audit", "reveal", str(index), *why(served.data))
    assert status == 0, printed
    return printed


def verified(file: Path, *rest: str) -> dict[str, Any]:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = main(["audit", "evidence", str(file), *rest, "--json"])
    told: dict[str, Any] = json.loads(printed.getvalue())
    assert status == (0 if told["good"] else 1)
    return told
