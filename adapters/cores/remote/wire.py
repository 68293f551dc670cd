"""The exchange between a gateway and a core behind HTTP: paths, headers, codes and the frames around the values. Pure.

Every method of `CoreBank` is an operation of the same name at `POST /v1/<name>`; its arguments are one object. `submit` alone has a form of
its own: the body is the canonical instruction, the very bytes that its permit covers. Whatever is answered repeats the number of the
request and the key of the instruction: an answer to something else is no answer.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeGuard, get_type_hints

from adapters.core import CoreAnswer, CoreBank, Instruction
from adapters.cores.remote.codec import Codec, Json, WireError, codec, dumps, loads
from adapters.questions import ASKED_TOGETHER, MOST_TOGETHER, TOGETHER, Answered, Question

PREFIX = "/v1/"
"""The version is the first part of every path. It changes when a value's form does; a new operation leaves it as it is."""

REQUEST = "Tellergate-Request"
"""32 lower-case hexadecimal digits, new for each request that is sent; the answer repeats them."""

KEY = "Idempotency-Key"
"""Of an instruction: its key."""

PERMIT = "Tellergate-Permit"
"""Of an instruction: its execution permit."""

MAX_REQUEST_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 1024 * 1024

REQUEST_FORM = re.compile(r"[0-9a-f]{32}", re.ASCII)
PERMIT_FORM = re.compile(r"[A-Za-z0-9_-]{1,1024}", re.ASCII)
KEY_FORM = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)


class CoreFault(StrEnum):
    """Why a server answered no value. Closed and stable; no message goes with it."""

    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    MALFORMED = "malformed"
    INVALID = "invalid"
    """The core has no answer to such a question: the port's ValueError."""
    PERMIT_REFUSED = "permit_refused"
    UNAVAILABLE = "unavailable"


STATUS: Mapping[CoreFault, int] = {
    CoreFault.UNAUTHORIZED: 401,
    CoreFault.NOT_FOUND: 404,
    CoreFault.METHOD_NOT_ALLOWED: 405,
    CoreFault.TOO_LARGE: 413,
    CoreFault.TOO_SLOW: 408,
    CoreFault.MALFORMED: 400,
    CoreFault.INVALID: 422,
    CoreFault.PERMIT_REFUSED: 403,
    CoreFault.UNAVAILABLE: 503,
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of the port: how its arguments and its answer cross."""

    name: str
    signature: inspect.Signature
    parameters: Mapping[str, Codec]
    answer: Codec

    @property
    def path(self) -> str:
        return PREFIX + self.name

    def request(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> bytes:
        """The body for these arguments. TypeError for others than the method takes, WireError for values without a form."""
        return dumps(self.encoded(arguments, named))

    def encoded(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Json]:
        """The same before it is bytes."""
        if not named and len(arguments) == len(
            self.parameters
        ):  # as nearly every question is asked; binding costs as much as the rest
            return {name: form.encode(value) for (name, form), value in zip(self.parameters.items(), arguments, strict=True)}
        bound = self.signature.bind(*arguments, **named)
        bound.apply_defaults()
        return {name: self.parameters[name].encode(value) for name, value in bound.arguments.items()}

    def arguments(self, body: bytes) -> dict[str, Any]:
        """The arguments in a body. WireError unless they are exactly the method's."""
        return self.decoded(loads(body))

    def decoded(self, given: Json) -> dict[str, Any]:
        """The same of what was read already."""
        if type(given) is not dict or given.keys() != self.parameters.keys():
            raise WireError(f"not exactly the arguments of {self.name}")
        return {name: parameter.decode(given[name]) for name, parameter in self.parameters.items()}


def _operation(name: str) -> Operation:
    method = getattr(CoreBank, name)
    hints = get_type_hints(method)
    signature = inspect.signature(method)
    signature = signature.replace(parameters=list(signature.parameters.values())[1:])
    parameters = {parameter: codec(hints[parameter]) for parameter in signature.parameters}
    return Operation(name, signature, parameters, codec(hints["return"]))


STATUS_OF_KEY = _operation("status")

QUESTIONS: Mapping[str, Operation] = {
    name: _operation(name)
    for name, method in vars(CoreBank).items()
    if inspect.iscoroutinefunction(method) and name not in ("submit", "status", TOGETHER)
}
"""Every method of the port without an effect."""

SUBMIT_PATH = PREFIX + "submit"

TOGETHER_PATH = PREFIX + TOGETHER

ANSWER_TO_INSTRUCTION = codec(CoreAnswer)

_INSTRUCTION = codec(Instruction)


def instruction_of(body: bytes) -> Instruction:
    """The instruction in its canonical bytes. WireError for any other spelling of it, and for a key that no header can hold."""
    told: Instruction = _INSTRUCTION.decode(loads(body))
    if told.canonical() != body:
        raise WireError("not the canonical form of an instruction")
    if KEY_FORM.fullmatch(told.key) is None:
        raise WireError("not a key")
    return told


# Several questions in one exchange: `{"questions": [{"is": "balance", "arguments": {...}}, ...]}`, answered by a list of as many members,
# in the order of the questions, each `{"answer"}` or `{"error": {"code"}}` as if it had been asked alone.


def together(questions: Sequence[Question[Any]]) -> bytes:
    """The body of these questions. WireError for values without a form."""
    return dumps({"questions": [{"is": it.name, "arguments": QUESTIONS[it.name].encoded(it.arguments, {})} for it in questions]})


def questions_of(body: bytes) -> list[Question[Any]]:
    """The questions in a body. WireError for more than `MOST_TOGETHER`, and for one that is asked alone."""
    given = loads(body)
    asked = given["questions"] if type(given) is dict and given.keys() == {"questions"} else None
    if type(asked) is not list or not 1 <= len(asked) <= MOST_TOGETHER:
        raise WireError("not a list of questions")
    return [_question(item) for item in asked]


def _question(item: Json) -> Question[Any]:
    name = item["is"] if type(item) is dict and item.keys() == {"is", "arguments"} else None
    if type(item) is not dict or type(name) is not str or name not in ASKED_TOGETHER:
        raise WireError("not a question that is asked together with others")
    operation = QUESTIONS[name]
    return Question(operation.name, tuple(operation.decoded(item["arguments"]).values()))


def answer_of(question: Question[Any], answer: Any) -> Json:
    """The answer to one of several questions, or the fault that stands for it."""
    if isinstance(answer, CoreFault):
        return {"error": {"code": answer.value}}
    return {"answer": QUESTIONS[question.name].answer.encode(answer)}


def answers_of(questions: Sequence[Question[Any]], given: Json) -> list[Answered]:
    """Those of the questions that were answered. WireError unless there is a member for each, in the wire form."""
    if type(given) is not list or len(given) != len(questions):
        raise WireError("not as many answers as questions")
    return [
        Answered(question, QUESTIONS[question.name].answer.decode(item["answer"]))
        for question, item in zip(questions, given, strict=True)
        if _is_answer(item)
    ]


def _is_answer(item: Json) -> TypeGuard[dict[str, Json]]:
    if type(item) is dict and item.keys() == {"answer"}:
        return True
    if type(item) is not dict or item.keys() != {"error"}:
        raise WireError("neither an answer nor a fault")
    _fault(item["error"])
    return False


def answered(request: str, key: str | None, answer: Json) -> bytes:
    """The frame of an answer. `key` None: it is no answer about a key."""
    return dumps({"request": request, "key": key, "answer": answer})


def refused(request: str, key: str | None, fault: CoreFault) -> bytes:
    """The frame of a fault."""
    return dumps({"request": request, "key": key, "error": {"code": fault.value}})


def read_frame(body: bytes, request: str, key: str | None) -> Json | CoreFault:
    """What a frame holds. WireError unless it is whole, and the answer to this very request about this very key."""
    frame = loads(body)
    if type(frame) is not dict or frame.get("request") != request or frame.get("key", "") != key:
        raise WireError("an answer to something else")
    if frame.keys() == {"request", "key", "answer"}:
        return frame["answer"]
    if frame.keys() != {"request", "key", "error"}:
        raise WireError("not a frame")
    return _fault(frame["error"])


def _fault(error: Json) -> CoreFault:
    if type(error) is not dict or error.keys() != {"code"}:
        raise WireError("not a fault")
    try:
        return CoreFault(error["code"])  # type: ignore[arg-type]  # whatever it is, it is one of the codes or an error
    except ValueError:
        raise WireError("not a code") from None
