"""One answer of the model, put together from its pieces and bounded, with call ids of ours. Pure: ids are injected.

What a listener is told as it grows is what it comes to: a call that only repeats another is told to nobody. Servers do not all keep to
the API: what has one reading is read, a call that has two is refused later, with its fault, and only what has none is no answer. Whether
a function was offered, and whether arguments are JSON, is the pipeline's business.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import jiter

from gateway.domain.request import CallFault
from gateway.runs.model import CallPiece, Finish, Finished, ModelFailed, Piece, TextPiece, ToolCall, Usage

MAX_TEXT_CHARS = 256_000
"""Of an answer: what a message may hold."""

MAX_CALLS = 32
MAX_ARGUMENTS_CHARS = 64 * 1024
"""Of one call. The pipeline itself takes less; an app's own functions may take more."""

_NAME_CHARS = 128
_BLANKS_MOST = 16
_SURROGATE = re.compile("[\ud800-\udfff]")
_NONE = "\ufffd"
"""Stands for what is no character."""


@dataclass(frozen=True, slots=True)
class NewText:
    text: str


@dataclass(frozen=True, slots=True)
class CallBegun:
    """A call, `index` counted from 0 in the order in which they begin. `id` is ours."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class NewArguments:
    """A fragment of the arguments of call `index`."""

    index: int
    fragment: str


News = NewText | CallBegun | NewArguments


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """A whole answer: `text`, or `calls`, or both, in the order in which they began.

    One that was cut off (`finish` is length or filtered) asks for nothing, whatever calls it began; its text may be empty.
    """

    text: str
    calls: tuple[ToolCall, ...]
    finish: Finish
    usage: Usage | None


@dataclass(slots=True)
class _CallInProgress:
    """A call that is being told. `place` is None while nobody is told of it: it has no name yet, or may be a repeat."""

    native: str | None = None
    name: str | None = None
    arguments: str = ""
    half: str = ""
    told: int = 0
    repeats: "_CallInProgress | None" = None
    place: int | None = None
    fault: CallFault | None = None

    @property
    def is_whole(self) -> bool:
        """Whether its arguments are one JSON object: whatever follows is no part of them."""
        try:
            return isinstance(jiter.from_json(self.arguments.encode("utf-8", "replace"), allow_inf_nan=False), dict)
        except ValueError:
            return False

    @property
    def has_none(self) -> bool:
        """Whether its arguments may still turn out to be none: servers write nothing, or `null`, for a function without parameters."""
        return len(self.arguments) <= _BLANKS_MOST and "null".startswith(self.arguments.strip())

    def is_repeat_of(self, other: "_CallInProgress") -> bool:
        return (self.name, self.arguments) == (other.name, other.arguments)


@dataclass(slots=True)
class AnswerAssembly:
    """The answer as it grows. `mint` gives an id that no call of the thread has yet.

    Errors: ModelFailed (`server_error`) for what is no answer; after it, this is of no more use.
    """

    mint: Callable[[], str]
    _texts: list[str] = field(default_factory=list)
    _text_chars: int = 0
    _half: str = ""
    _calls: list[_CallInProgress] = field(default_factory=list)
    _at: dict[int, _CallInProgress] = field(default_factory=dict)
    _begun: list[tuple[str, _CallInProgress]] = field(default_factory=list)
    _finished: Finished | None = None

    def feed(self, piece: Piece) -> tuple[News, ...]:
        """What this piece adds for a listener."""
        if self._finished is not None:
            raise _no_answer("it went on after its end")
        match piece:
            case TextPiece(text):
                return self._text(text)
            case CallPiece():
                return self._call(piece)
            case Finished():
                self._finished = piece
                asks = piece.finish not in (Finish.LENGTH, Finish.FILTERED)
                return (*self._text("", last=True), *(news for call in self._calls if asks for news in self._ended(call)))

    def answer(self) -> ModelAnswer:
        """The whole of it, once its end was fed."""
        if self._finished is None:
            raise _no_answer("it has no end")
        text, finish = "".join(self._texts), self._finished.finish
        if finish in (Finish.LENGTH, Finish.FILTERED):
            return ModelAnswer(text, (), finish, self._finished.usage)
        calls = self.begun
        if not text and not calls:
            raise _no_answer("it is empty")
        return ModelAnswer(text, calls, Finish.CALLS if calls else Finish.STOP, self._finished.usage)

    @property
    def begun(self) -> tuple[ToolCall, ...]:
        """The calls as far as a listener was told of them."""
        return tuple(ToolCall(ours, str(call.name), call.arguments, call.fault) for ours, call in self._begun)

    def _text(self, text: str, *, last: bool = False) -> tuple[News, ...]:
        self._text_chars += len(text)
        if self._text_chars > MAX_TEXT_CHARS:
            raise _no_answer("its text is too long")
        shown, self._half = _whole(self._half, text, last=last)
        shown = shown.replace("\0", _NONE)  # no database keeps a NUL, and nobody sees one
        if not shown:
            return ()
        self._texts.append(shown)
        return (NewText(shown),)

    def _call(self, piece: CallPiece) -> tuple[News, ...]:
        call = self._of(piece)
        if piece.name in (None, call.name) and piece.arguments == call.arguments and call.is_whole:
            return ()  # told once more as a whole, under its own id or index
        self._identify(call, piece)
        call.fault = call.fault or piece.fault
        try:
            fragment, call.half = _whole(call.half, piece.arguments, errors="strict")
        except UnicodeDecodeError:
            fragment, call.half = "\0", ""
        if "\0" in fragment:
            call.fault = call.fault or CallFault.NOT_TEXT
        call.arguments += fragment.replace("\0", _NONE)
        if len(call.arguments) > MAX_ARGUMENTS_CHARS:
            raise _no_answer("a call's arguments are too long")
        return () if call.name is None or call.repeats is not None else self._told(call)

    def _of(self, piece: CallPiece) -> _CallInProgress:
        """The call of a fragment. Servers leave out the index, or have one for all; the first of these that holds is the one reading."""
        named = next((call for call in self._calls if piece.id is not None and call.native == piece.id), None)
        if piece.index is None:
            before = named or (self._calls[-1] if self._calls and piece.name is None else None)
        else:
            before = self._at.get(piece.index)
            if before is None and piece.name is None:
                before = named  # goes on under its id, whatever its index is now
            if before is not None and self._begins_anew(before, piece):
                before = None
        call = self._new() if before is None else before
        if piece.index is not None:
            self._at[piece.index] = call
        return call

    @staticmethod
    def _begins_anew(call: _CallInProgress, piece: CallPiece) -> bool:
        """Whether a fragment at the index of this call is the first of another one: a call has one name, and one set of arguments."""
        if piece.name is None or call.name is None:
            return False  # a new id without a name is none: there are servers that make one for each fragment
        if piece.id is not None and call.native is not None and piece.id != call.native:
            return True
        return _plain(piece.name) != call.name and call.is_whole

    def _new(self) -> _CallInProgress:
        if len(self._calls) == MAX_CALLS:
            raise _no_answer("it has too many calls")
        self._calls.append(_CallInProgress())
        return self._calls[-1]

    def _identify(self, call: _CallInProgress, piece: CallPiece) -> None:
        """Take over the native id and the name. Both may be repeated with each fragment; a second name makes it unreadable."""
        if piece.name is not None:
            name = _plain(piece.name)
            if call.name not in (None, name):
                call.fault = call.fault or CallFault.TWO_NAMES
            call.name = call.name or name
        if piece.id is None or call.native is not None:
            return
        call.native = piece.id
        if call.place is None:
            call.repeats = next((other for other in self._calls if other is not call and other.native == piece.id), None)
            return
        for other in self._calls:
            if other is not call and other.native == piece.id:  # it was told as a call of its own
                call.fault = other.fault = CallFault.TWO_CALLS_OF_ONE_ID

    def _told(self, call: _CallInProgress) -> tuple[News, ...]:
        """What a listener was not told of this call."""
        begun: tuple[News, ...] = ()
        if call.place is None:
            call.place, ours = len(self._begun), self.mint()
            self._begun.append((ours, call))
            begun = (CallBegun(call.place, ours, str(call.name)),)
        if call.has_none or len(call.arguments) == call.told:
            return begun
        fragment, call.told = call.arguments[call.told :], len(call.arguments)
        return (*begun, NewArguments(call.place, fragment))

    def _ended(self, call: _CallInProgress) -> tuple[News, ...]:
        """What the end of the answer makes of a call."""
        if call.half:
            call.arguments, call.half = call.arguments + _NONE, ""
            call.fault = call.fault or CallFault.NOT_TEXT
        if call.repeats is not None:
            if call.is_repeat_of(call.repeats):
                return ()
            for item in (call, call.repeats):
                item.fault = item.fault or CallFault.TWO_CALLS_OF_ONE_ID
        if call.name is None:
            call.name, call.fault = "_", call.fault or CallFault.NO_NAME
        if call.has_none and call.fault is None:
            call.arguments = "{}"
        return self._told(call)


def _plain(name: str) -> str:
    """A name without the blanks around it, as long as any may be, of characters alone: it names no function, or the one that is meant."""
    return _SURROGATE.sub(_NONE, name.replace("\0", _NONE)).strip()[:_NAME_CHARS]


def _whole(half: str, fragment: str, *, last: bool = False, errors: str = "replace") -> tuple[str, str]:
    """The characters of these, and the first half of one whose second half may come yet: servers cut UTF-16 in between."""
    text = half + fragment
    if _SURROGATE.search(text) is None:
        return text, ""
    cut = len(text) - (not last and "\ud800" <= text[-1] <= "\udbff")
    return text[:cut].encode("utf-16-le", "surrogatepass").decode("utf-16-le", errors), text[cut:]


def _no_answer(reason: str) -> ModelFailed:
    return ModelFailed("server_error", f"The model's answer is none: {reason}.")
