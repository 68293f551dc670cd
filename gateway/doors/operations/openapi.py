"""The OpenAPI document of the operations listener, for who is signed in: the JSON routes under `/v1`, their bodies and answers."""

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

from audit.completeness import Basis
from audit.terms import CallOutcome
from gateway.domain.approvals import ApprovalState
from gateway.domain.duties import Duty, StaffRole
from gateway.doors import rest, schemas
from gateway.doors.bodies import json_answer
from gateway.doors.operations.sessions import CSRF_HEADER, SignedIn
from gateway.doors.operations.staff_door import StaffDoor

DESCRIPTION = f"""\
For the bank's own people, who sign in at `/sign-in`. A change says the `Origin` of this listener and the session's token as `{CSRF_HEADER}`
(`GET /v1/session` tells it). Errors have one form, `{{"error": {{"message", "type", "param", "code"}}}}`; `code` is stable.
"""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SessionAnswer(_Answer):
    """`fresh`: by two factors just now, for what is grave."""

    subject: str
    roles: list[StaffRole]
    fresh: bool
    expires: str
    csrf: str


class ApprovalAnswer(_Answer):
    """`subject`: exactly what is approved."""

    id: str
    duty: Duty
    subject: dict[str, object]
    reason: str
    asked_by: str
    asked: str
    expires: str
    approved_by: str | None
    state: ApprovalState


class ApprovalList(_Answer):
    data: list[ApprovalAnswer]


class RevealAnswer(_Answer):
    """`values` by their path in the record; `question_record` is that of the look."""

    record: int
    values: dict[str, object]
    question_record: int


class RecordAnswer(_Answer):
    """`leaf`: the record, which is the evidence; `leaf_hash`: RFC 6962 hash of its canonical bytes, in hexadecimal."""

    index: int
    leaf_hash: str
    leaf: dict[str, object]


class LifeRecordAnswer(RecordAnswer):
    """`step`: what the record says about the call, in words."""

    step: str


class CompletenessAnswer(_Answer):
    """On what it rests that none is missing: `found` of `expected` records of `of`. `whole` null: it is not proven either way."""

    basis: Basis
    whole: bool | None
    of: str
    found: int
    expected: int
    from_record: int | None
    to_record: int | None
    says: str


class QuestionAnswer(_Answer):
    """In the tree of `size` records. `gapless`: of a customer's or a conversation's own records, whether none is missing so far. `opened`:
    records opened to look for what they keep sealed; `erased`: those that could not be. `question_record`: that of this question."""

    size: int
    gapless: bool | None
    of_nobody: bool
    completeness: CompletenessAnswer
    opened: int
    erased: int
    next_cursor: str | None
    question_record: int
    records: list[RecordAnswer]


class CallLifeAnswer(_Answer):
    """`records` with those in which the customer spoke; `looks`: at this call. `more`: not all of them are here."""

    call: str
    size: int
    outcome: CallOutcome | None
    records: list[LifeRecordAnswer]
    looks: list[RecordAnswer]
    more: bool
    question_record: int


class QuestionWord(_Answer):
    name: str
    means: str
    example: str
    aliases: list[str]


class QuestionWords(_Answer):
    data: list[QuestionWord]


class ReportTableAnswer(_Answer):
    """`rows` of texts and numbers under `columns`."""

    title: str
    columns: list[str]
    rows: list[list[str | int]]


class ReportAnswer(_Answer):
    """`about`: of what it is, and on what its counts rest. `checkpoint`: the log's newest signed note. `question_record`: that of the
    report itself."""

    about: dict[str, str]
    tables: list[ReportTableAnswer]
    checkpoint: str | None
    question_record: int


class ErasureAnswer(_Answer):
    """`locked`: classes under a legal minimum, and until when. `certificate`: a C2SP signed note of all this."""

    subject: str
    record: int
    destroyed: list[str]
    locked: dict[str, str]
    removed: dict[str, int]
    certificate: str


def answers(model: type[BaseModel]) -> dict[int | str, dict[str, object]]:
    """As of the API; 409 says that the state of the object, or who asks, does not allow it."""
    return {
        **rest.answers(model),
        409: {"model": schemas.ErrorBody, "description": "The state does not allow this; nothing changed"},
    }


def document(app: FastAPI, bodies: tuple[type[BaseModel], ...]) -> dict[str, object]:
    """The whole document; `bodies` are those that routes read raw."""
    routes = [route for route in app.routes if isinstance(route, APIRoute) and route.path.startswith("/v1/")]
    made = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=routes)
    components = made.setdefault("components", {})
    known = components.setdefault("schemas", {})
    for model in bodies:
        schema = model.model_json_schema(ref_template=schemas.REF)
        known.update(schema.pop("$defs", {}))
        known[model.__name__] = schema
    for operations in made["paths"].values():
        for method, operation in operations.items():
            operation["summary"], operation["description"] = operation.pop("description").strip().rstrip("."), ""
            operation["security"] = [{"session": [], **({"csrf": []} if method != "get" else {})}]
    components["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": "__Host-session"},
        "csrf": {"type": "apiKey", "in": "header", "name": CSRF_HEADER},
    }
    return made


def mount(app: FastAPI, door: StaffDoor, bodies: tuple[type[BaseModel], ...]) -> None:
    """Put it into the application, behind every route that it tells of."""
    made = document(app, bodies)

    async def told(_door: StaffDoor, _request: Request, _signed_in: SignedIn) -> Response:
        return json_answer(made)

    @app.get("/openapi.json")
    async def openapi_document(request: Request) -> Response:
        """Tell what is here, to who is signed in."""
        return await door.answer(request, None, told)
