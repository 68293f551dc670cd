"""Exports and erasures by people on the operations listener: two people, exactly what was approved, on record whatever becomes of it."""

import asyncio
import contextlib
import io
import json
import threading
import zipfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import erasure, verify
from audit.checkpoint import Checkpoint, Note
from audit.erasure import LegalHold
from audit.leaf import EndState, RecordKind
from audit.merkle import leaf_hash
from audit.query import Query, Why
from audit.question_language import FIELDS, parse_question
from audit.terms import CallOutcome
from audit.tiles import TilePlace, entries_of
from gateway.app.databases import places_of
from gateway.app.handover import PART_BYTES, PARTS_AHEAD, Handover, NotHandedOver
from gateway.app.staff_evidence import StaffEvidence
from gateway.cli import main
from gateway.domain.approvals import canonical
from gateway.domain.errors import Fault, RequestFault
from gateway.doors.operations.approvals import in_members
from gateway.doors.operations.evidence import BundleAnswer, ExportRequest, ExportSubject
from gateway.doors.operations.evidence_pages import export_fields
from gateway.oversight.erasing import MINIMUMS, ErasureOrder
from gateway.oversight.evidence import ExportOrder
from tests.attacks.test_operations_listener import free_port
from tests.doors.conftest import Served, serving
from tests.support import databases
from tests.support.asking import approved, why
from tests.support.teller import Teller, leaves_of, teller
from tests.support.waiting import WAITS_S, wait_until

CUSTOMER = "alice"
ABOUT: dict[str, object] = {"purpose": "a complaint", "case": "C-1"}


@contextmanager
def signed_in(origin: str, name: str, *roles: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=origin, headers={"origin": origin}, timeout=WAITS_S) as http:
        assert http.post("/sign-in", data={"name": name, **dict.fromkeys(roles, "on")}).status_code == 303
        http.headers["x-csrf-token"] = http.get("/v1/session").json()["csrf"]
        yield http


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    """A gateway in development mode, where whoever says a name is believed to be them."""
    folder: Path = tmp_path_factory.mktemp("evidence")
    port = free_port()
    (folder / "tellergate.toml").write_text(f"operations_port = {port}\n")
    with serving(folder / "data", "--config", str(folder / "tellergate.toml")) as served:
        yield served, f"http://127.0.0.1:{port}"


def code(answered: httpx.Response) -> tuple[int, str]:
    return answered.status_code, answered.json()["error"]["code"]


def asked(http: httpx.Client, duty: str, subject: Mapping[str, object]) -> dict[str, object]:
    """The body that does it, once it is approved."""
    answered = http.post("/v1/approvals", json={"duty": duty, "subject": subject, "reason": "r"})
    assert answered.status_code == 200, answered.text
    return {"approval": answered.json()["id"], **subject}


def test_what_another_auditor_approved_is_taken_away_once_and_verifies(listener: tuple[Served, str], tmp_path: Path) -> None:
    served, origin = listener
    served.call("list_accounts", {}, token=served.token(CUSTOMER))
    with signed_in(origin, "eve", "auditor") as eve, signed_in(origin, "mel", "auditor") as mel:
        body = asked(eve, "trail.export", {**ABOUT, "customer": CUSTOMER, "reveal": True})
        assert code(eve.post("/v1/exports", json=body)) == (409, "approval_waits")
        approve = f"/v1/approvals/{body['approval']}/approve"
        assert code(eve.post(approve)) == (409, "same_person")
        assert mel.post(approve).json()["state"] == "approved"
        for change in ({"reveal": False}, {"customer": None}, {"case": "C-2"}, {"kinds": ["read"]}):
            assert code(eve.post("/v1/exports", json={**body, **change})) == (403, "not_approved"), change
        assert code(mel.post("/v1/exports", json=body)) == (403, "not_approved"), "who approved does not act"
        taken = eve.post("/v1/exports", json=body)
        assert (taken.status_code, taken.headers["content-type"], taken.headers["cache-control"]) == (
            200,
            "application/zip",
            "no-store",
        )
        assert code(eve.post("/v1/exports", json=body)) == (409, "approval_used")
    file = tmp_path / "evidence.zip"
    file.write_bytes(taken.content)
    printed: list[str] = []
    assert verify.main([str(file), "--json"], printed.append) == 0, printed
    told = json.loads("".join(printed))
    assert told["good"]
    looks = [item["leaf"]["facts"] for item in served.audit("--kind", "audit.export")["records"]]
    assert [(look["case"], look["revealed"]) for look in looks] == [("C-1", True)]


def test_nobody_is_asked_about_who_is_not_known_and_the_forms_ask_the_same(listener: tuple[Served, str]) -> None:
    served, origin = listener
    served.call("list_accounts", {}, token=served.token(CUSTOMER))
    with signed_in(origin, "eve", "auditor") as eve, signed_in(origin, "mel", "auditor") as mel:
        for duty, subject in (("trail.export", {"customer": "nobody-1"}), ("trail.reveal", {"customer": "nobody-1"})):
            refused = eve.post("/v1/approvals", json={"duty": duty, "subject": subject, "reason": "r"})
            assert code(refused) == (404, "not_found")
        csrf = {"csrf": eve.headers["x-csrf-token"]}
        form = {
            **csrf,
            "customer": CUSTOMER,
            "conversation": "",
            "since": "2026-01-01",
            "until": "",
            **{k: str(v) for k, v in ABOUT.items()},
        }
        assert eve.post("/approvals/export", data=form).status_code == 303
        (waiting,) = [item for item in eve.get("/v1/approvals").json()["data"] if item["state"] == "asked"]
        assert waiting["subject"] == {**ABOUT, "customer": CUSTOMER, "since": "2026-01-01T00:00:00.000000Z", "reveal": False}
        assert "Download" not in eve.get("/").text
        assert mel.post(f"/v1/approvals/{waiting['id']}/approve").status_code == 200
        assert f'action="/approvals/{waiting["id"]}/export"' in eve.get("/").text
        assert f'action="/approvals/{waiting["id"]}/export"' not in mel.get("/").text
        assert eve.post(f"/approvals/{waiting['id']}/export", data=csrf).content[:2] == b"PK"
        assert eve.post(f"/approvals/{waiting['id']}/erase", data=csrf).status_code == 403


def test_an_erasure_takes_two_is_held_by_a_legal_hold_and_reaches_what_the_command_reaches(listener: tuple[Served, str]) -> None:
    served, origin = listener
    served.call("list_accounts", {}, token=served.token("bruno"))
    subject = {**ABOUT, "customer": "bruno", "legal_minimum": []}
    with signed_in(origin, "ada", "officer") as ada, signed_in(origin, "ben", "officer") as ben:
        body = asked(ada, "customer.erase", subject)
        assert code(ada.post("/v1/erasures", json=body)) == (409, "approval_waits")
        assert ben.post(f"/v1/approvals/{body['approval']}/approve").json()["state"] == "approved"
        assert code(ada.post("/v1/erasures", json={**body, "legal_minimum": list(MINIMUMS)})) == (403, "not_approved")
        where = ["--data", str(served.data), "--database", databases.url(served.data)]
        hold = ["audit", "hold", "--customer", "bruno", "--hold", "court", *why(served.data, "ada"), *where]
        with contextlib.redirect_stdout(io.StringIO()):
            assert main(hold) == 0
            assert code(ada.post("/v1/erasures", json=body)) == (409, "legal_hold")
            assert main([*hold, "--release"]) == 0
        switch = ada.post("/v1/kill-switches", json={"scope": "customer", "subject": "bruno", "reason": "r"}).json()["id"]
        assert code(ada.post("/v1/erasures", json=body)) == (409, "customer_stopped")
        for who in (ada, ben):
            assert who.post(f"/v1/kill-switches/{switch}/lift", json={"reason": "r"}).status_code == 200
        done = ada.post("/v1/erasures", json=body).json()
        assert set(done["removed"]) >= {"conversations", "customers", "kill_switches", "staff_approvals"}
        assert "bruno" not in json.dumps(done)
        assert code(ada.post("/v1/erasures", json=body)) == (404, "not_found")
    assert approved(served.data, "audit", "erase", *why(served.data, "ada"), "--customer", "bruno")[0] == 1
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["audit", "verify", *where]) == 0


def test_hashes_of_the_trail_are_public_and_entries_an_auditor_s_with_each_fetch_on_record(
    listener: tuple[Served, str],
) -> None:
    served, origin = listener
    served.call("list_accounts", {}, token=served.token(CUSTOMER))
    with httpx.Client(base_url=origin, timeout=WAITS_S) as nobody:
        asyncio.run(wait_until(lambda: nobody.get("/tlog/checkpoint").status_code == 200))
        noted = nobody.get("/tlog/checkpoint")
        assert noted.headers["content-type"] == "text/plain; charset=utf-8"
        assert noted.headers["cache-control"] == "public, max-age=1"
        size = Checkpoint.parse(Note.parse(noted.content).text).size
        tile = nobody.get(f"/tlog/tile/0/{TilePlace(0, size).path}")
        assert (tile.headers["content-type"], tile.headers["cache-control"]) == (
            "application/octet-stream",
            "public, max-age=31536000, immutable",
        )
        for path in ("0/000", "00/000.p/1", "0/001.p/1", "64/000.p/1", "0/0.p/1", "0/x000/000.p/1", "0/000.p/01", "0/..%2f000.p/1"):
            absent = nobody.get(f"/tlog/tile/{path}")
            assert (*code(absent), absent.headers["cache-control"]) == (404, "not_found", "no-store"), path
        path = f"/tlog/tile/entries/{TilePlace(0, size).path}"
        about = {"x-purpose": "a copy", "x-case": "C-9"}
        assert nobody.get(path, headers=about).status_code == 401
    with signed_in(origin, "ada", "officer", "reviewer", "operator") as ada, signed_in(origin, "eve", "auditor") as eve:
        assert ada.get(path, headers=about).status_code == 403
        assert code(eve.get(path)) == (400, "invalid_request")
        assert eve.get("/tlog/tile/entries/999", headers=about).status_code == 404
        bundle = eve.get(path, headers=about)
        assert (bundle.headers["content-type"], bundle.headers["cache-control"]) == ("application/octet-stream", "no-store")
        assert b"".join(leaf_hash(leaf) for leaf in entries_of(bundle.content)) == tile.content
    looks = [item["leaf"] for item in served.audit("--kind", "audit.query")["records"]]
    (look,) = [look for look in looks if look["facts"]["case"] == "C-9"]
    assert (look["actor"]["agent"], look["facts"]["entries_from"], look["facts"]["entries_until"]) == ("eve", 0, size)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[tuple[Teller, StaffEvidence]]:
    async with teller(tmp_path / "data") as asking:
        await asking.ask("list_accounts")
        opened = asking.gateway
        evidence = StaffEvidence(places=places_of(opened.settings), storage=opened.keys.storage, clock=opened.door.clock)
        yield asking, evidence
        await evidence.close()


ORDER = ExportOrder(query=Query(), purpose="p", case="c")
USED: list[Mapping[str, object]] = []


def asks(person: str) -> Why:
    return Why(auditor=person, purpose="p", case_id="c")


async def agreed(subject: Mapping[str, object]) -> None:
    USED.append(subject)


async def exports_of(asking: Teller) -> list[dict[str, Any]]:
    fields = [json.loads(leaf.leaf) for leaf in await leaves_of(asking.gateway)]
    return [item["facts"] for item in fields if item["kind"] == RecordKind.AUDIT_EXPORT.value]


async def test_who_hangs_up_is_on_record_and_one_person_takes_one_at_a_time(gateway: tuple[Teller, StaffEvidence]) -> None:
    asking, evidence = gateway
    parts, done = await evidence.export(ORDER, asks("eve"), agreed)
    with pytest.raises(RequestFault) as refused:
        await evidence.export(ORDER, asks("eve"), agreed)
    assert refused.value.fault is Fault.RATE_LIMITED
    others, done_too = await evidence.export(ORDER, asks("mel"), agreed)
    with pytest.raises(RequestFault):
        await evidence.export(ORDER, asks("dan"), agreed)
    whole = b"".join([part async for part in others])
    done_too()
    assert whole[:2] == b"PK"
    assert (await anext(parts))[:2] == b"PK"
    done()
    await evidence.close()
    told = await exports_of(asking)
    begun = [facts for facts in told if "whole" in facts]
    assert len(begun) == 2
    (failed,) = [facts["failed"] for facts in told if "failed" in facts]
    assert isinstance(failed, int)


async def test_what_is_not_agreed_leaves_no_trace_and_destroys_nothing(gateway: tuple[Teller, StaffEvidence]) -> None:
    asking, evidence = gateway
    before = await asking.gateway.log.head()

    async def refuses(_subject: Mapping[str, object]) -> None:
        raise RequestFault(Fault.APPROVAL_WAITS, "nobody approved it yet")

    erasing = ErasureOrder(customer=CUSTOMER, minimums={}, purpose="p", case="c")
    with pytest.raises(RequestFault):
        await evidence.erase(erasing, asks("ada"), refuses)
    with pytest.raises(RequestFault):
        await evidence.export(ORDER, asks("ada"), refuses)
    assert await asking.gateway.log.head() == before
    await erasure.place_hold(asking.gateway.log, CUSTOMER, "court", asks("ada"))
    USED.clear()
    with pytest.raises(LegalHold):
        await evidence.erase(erasing, asks("ada"), agreed)
    assert USED == [], "what stands in the way is found before an approval is used"
    assert (await asking.ask("list_accounts")).status == "done"


@given(st.lists(st.integers(0, 3 * PART_BYTES), max_size=6))
def test_what_is_written_is_read_and_never_more_than_a_few_parts_are_ahead(sizes: list[int]) -> None:
    written = read = 0
    furthest = 0

    async def handing() -> None:
        nonlocal read, furthest
        handover = Handover(asyncio.get_running_loop(), patience_s=WAITS_S)

        def write() -> None:
            nonlocal written
            for size in sizes:
                handover.write(b"x" * size)
                written += size
            handover.flush()

        writing = asyncio.get_running_loop().run_in_executor(None, write)
        writing.add_done_callback(lambda _: handover.ended.set())
        async for part in handover.parts():
            furthest = max(furthest, written - read)
            read += len(part)
        await writing

    asyncio.run(handing())
    assert read == written == sum(sizes)
    assert furthest <= (PARTS_AHEAD + 2) * PART_BYTES + max(sizes, default=0)


async def test_a_reader_that_stalls_ends_the_writer_and_what_is_not_whole_never_ends_well() -> None:
    loop = asyncio.get_running_loop()
    handover = Handover(loop, patience_s=0.05)
    failed = threading.Event()

    def write() -> None:
        try:
            while True:
                handover.write(b"x" * PART_BYTES)
        except NotHandedOver:
            failed.set()

    writing = loop.run_in_executor(None, write)
    writing.add_done_callback(lambda _: handover.ended.set())
    parts = handover.parts()
    assert len(await anext(parts)) == PART_BYTES
    await writing  # nobody reads on
    assert failed.is_set()
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async def receive() -> Any:
        await asyncio.Event().wait()

    await BundleAnswer(parts, handover.abandon, "x.zip")({"type": "http"}, receive, send)
    assert sent[0]["status"] == 200
    assert all(message["more_body"] for message in sent[1:]), "the answer has no end"
    assert not any(name == b"content-length" for name, _ in sent[0]["headers"])


_TEXT = st.text(min_size=1, max_size=20)


@given(
    st.fixed_dictionaries(
        {"purpose": _TEXT, "case": _TEXT, "reveal": st.booleans()},
        optional={
            "since": st.datetimes().map(lambda at: at.isoformat(timespec="microseconds") + "Z"),
            "kinds": st.lists(st.sampled_from([kind.value for kind in RecordKind]), min_size=1, max_size=4),
            "customer": _TEXT,
            "call_id": _TEXT,
            "end_state": st.sampled_from([state.value for state in EndState]),
            **dict.fromkeys(
                ("about", "agent", "by", "reason", "of_case", "word", "confirmation", "switch", "while_switch", "payee"), _TEXT
            ),
            "outcomes": st.lists(st.sampled_from([outcome.value for outcome in CallOutcome]), min_size=1, max_size=4),
            "amount": st.sampled_from([">500", "<=3EUR", "4.10"]),
            "new_payee": st.sampled_from(["yes", "no"]),
        },
    )
)
def test_a_body_is_the_subject_that_was_approved_to_the_letter(subject: dict[str, object]) -> None:
    order = ExportRequest.model_validate({"approval": f"apr_{'0' * 32}", **subject}).order()
    assert canonical(order.subject()) == canonical(subject)


def test_a_question_s_text_is_approved_as_the_members_that_it_says_every_one_of_them() -> None:
    about = {"purpose": "p", "case": "C-2"}
    for field in FIELDS:
        text = f"{field.name}:{field.example}"
        said = in_members({**about, "question": text})
        assert "question" not in said
        assert said != in_members({**about, "question": ""}), f"{field.name} would be approved as the whole log"
        again = ExportSubject.model_validate(json.loads(canonical(said))).order().query
        assert again == parse_question(text), field.name
    for twice in (
        {"question": "customer:a", "customer": "b"},
        {"question": "nonsense"},
        {"amount": "lots"},
        {"outcomes": ["paid"]},
    ):
        with pytest.raises(RequestFault):
            ExportSubject.model_validate({**about, **twice}).order()


def test_what_a_question_approves_is_taken_away_by_it_and_no_payee_stands_in_the_trail(
    listener: tuple[Served, str], tmp_path: Path
) -> None:
    served, origin = listener
    done = served.call("list_accounts", {}, token=served.token(CUSTOMER))
    question = {**ABOUT, "question": f"customer:{CUSTOMER} function:list_accounts outcome:answered"}
    with signed_in(origin, "eve", "auditor") as eve, signed_in(origin, "mel", "auditor") as mel:
        body = asked(eve, "trail.export", question)
        (waiting,) = [item for item in eve.get("/v1/approvals").json()["data"] if item["id"] == body["approval"]]
        chosen = {"customer": CUSTOMER, "function": "list_accounts", "outcomes": ["answered"], "reveal": False}
        assert waiting["subject"] == {**ABOUT, **chosen}
        assert mel.post(f"/v1/approvals/{body['approval']}/approve").status_code == 200
        wider = {**body, "question": f"customer:{CUSTOMER}"}
        assert code(eve.post("/v1/exports", json=wider)) == (403, "not_approved")
        taken = eve.post("/v1/exports", json=body)
        assert taken.status_code == 200, taken.text
        named = {**ABOUT, "question": 'payee:"Jane Roe" while_switch:kill_none'}
        body = asked(eve, "trail.export", named)
        assert mel.post(f"/v1/approvals/{body['approval']}/approve").status_code == 200
        assert code(eve.post("/v1/exports", json=body)) == (404, "not_found"), "no such switch: the approval is not used"
    with zipfile.ZipFile(io.BytesIO(taken.content)) as bundle:
        leaves = b"".join(bundle.read(name) for name in bundle.namelist() if name.startswith("leaves/"))
    assert done["call_id"].encode() in leaves
    told = served.audit("--kind", "admin")["records"]
    approvals = [item["leaf"]["facts"] for item in told if "approval" in item["leaf"].get("facts", {})]
    assert any('"payee":"given"' in fact.get("subject", "") for fact in approvals)
    assert "Jane Roe" not in json.dumps(told)


def test_records_are_approved_by_their_indexes_in_one_spelling_and_no_other_record_is_taken_away(
    listener: tuple[Served, str], tmp_path: Path
) -> None:
    served, origin = listener
    for number in range(3):
        served.call("list_accounts", {}, native_id=f"r{number}", token=served.token(CUSTOMER))
    with signed_in(origin, "eve", "auditor") as eve, signed_in(origin, "mel", "auditor") as mel:
        for wrong in (
            {"records": "1,x"},
            {"records": "9-3"},
            {"records": "1", "customer": CUSTOMER},
            {"records": "1", "question": "kind:read"},
        ):
            refused = eve.post("/v1/approvals", json={"duty": "trail.export", "subject": {**ABOUT, **wrong}, "reason": "r"})
            assert (code(refused), refused.json()["error"]["param"]) == ((400, "invalid_request"), "records"), wrong
        long = {"purpose": "é" * 500, "case": "é" * 500, "records": ",".join(str(index) for index in range(0, 1300, 2))}
        refused = eve.post("/v1/approvals", json={"duty": "trail.export", "subject": long, "reason": "r"})
        assert (code(refused), refused.json()["error"]["param"]) == ((400, "invalid_request"), "subject")
        beyond = {"duty": "trail.export", "subject": {**ABOUT, "records": "1,99999999"}, "reason": "r"}
        assert code(eve.post("/v1/approvals", json=beyond)) == (404, "not_found")
        body = asked(eve, "trail.export", {**ABOUT, "records": "4, 2,3"})
        (waiting,) = [item for item in eve.get("/v1/approvals").json()["data"] if item["id"] == body["approval"]]
        assert waiting["subject"] == {**ABOUT, "records": "2-4", "reveal": False}
        assert mel.post(f"/v1/approvals/{body['approval']}/approve").status_code == 200
        for change in ({"records": "2-5"}, {"records": "2,4"}, {"records": None}, {"reveal": True}):
            assert code(eve.post("/v1/exports", json={**body, **change})) == (403, "not_approved"), change
        assert code(eve.post("/v1/exports", json={**body, "records": "2-99999999"})) == (400, "invalid_request")
        taken = eve.post("/v1/exports", json={**body, "records": "2-4"})
        assert taken.status_code == 200, taken.text
    out = tmp_path / "typed.zip"
    status, said = approved(served.data, "audit", "export", "--records", "3,2-4", "--out", str(out), *why(served.data))
    assert status == 0, said
    for content in (taken.content, out.read_bytes()):
        assert verify.verify(content).good
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            leaves = b"".join(bundle.read(name) for name in bundle.namelist() if name.startswith("leaves/"))
        there = [int(line.split(b" ")[0]) for line in leaves.splitlines()]
        assert {2, 3, 4} <= {*there}
        assert 5 not in there
    for beyond_or_both in (["--records", "99999999"], ["--records", "1", "kind:read"], ["--records", "x"]):
        assert approved(served.data, "audit", "export", *beyond_or_both, "--out", str(out), *why(served.data))[0] == 2


def test_a_form_asks_for_nothing_that_is_left_empty() -> None:
    assert export_fields({"customer": " ", "until": "2026-02-01", "reveal": "on", "case": "C"}) == {
        "until": "2026-02-01T00:00:00.000000Z",
        "case": "C",
        "reveal": True,
    }
