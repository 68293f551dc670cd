"""One answer of the model, put together from its pieces and bounded, with call ids of ours. Pure: ids are injected.

What a listener is told as it grows is what it comes to: a call that only repeats another is told to nobody. Whether a function was
offered, and whether arguments are JSON, is the pipeline's business.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.runs.model import CallPiece, Finish, Finished, ModelFailed, Piece, TextPiece, ToolCall, Usage

MAX_TEXT_CHARS = 256_000
"""Of an answer: what a message may hold."""

MAX_CALLS = 32
MAX_ARGUMENTS_CHARS = 64 * 1024
"""Of one call. The pipeline itself takes less; an app's own functions may take more."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_NATIVE_ID = re.compile(r"[!-~]{1,256}", re.ASCII)
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
    fragments: list[str] = field(default_factory=list)
    half: str = ""
    size: int = 0
    repeats: "_CallInProgress | None" = None
    place: int | None = None

    @property
    def arguments(self) -> str:
        return "".join(self.fragments)


@dataclass(slots=True)
class AnswerAssembly:
    """The answer as it grows. `mint` gives an id that no call of the thread has yet.

    Errors: ModelFailed (`server_error`) for what is no answer; after it, this is of no more use.
    """

    mint: Callable[[], str]
    _texts: list[str] = field(default_factory=list)
    _text_chars: int = 0
    _half: str = ""
    _calls: dict[int, _CallInProgress] = field(default_factory=dict)
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
                return self._text("", last=True)

    def answer(self) -> ModelAnswer:
        """The whole of it, once its end was fed."""
        if self._finished is None:
            raise _no_answer("it has no end")
        text, finish = "".join(self._texts), self._finished.finish
        if finish in (Finish.LENGTH, Finish.FILTERED):
            return ModelAnswer(text, (), finish, self._finished.usage)
        for growing in self._calls.values():
            if growing.name is None:
                raise _no_answer("a call has no name")
            if growing.half:
                raise _no_answer("a call's arguments are not text")
            first = growing.repeats
            if first is not None and (growing.name, growing.arguments) != (first.name, first.arguments):
                raise _no_answer("two calls have one id")
        calls = self.begun
        if finish is Finish.CALLS and not calls:
            raise _no_answer("the calls that it ended with are missing")
        if not text and not calls:
            raise _no_answer("it is empty")
        return ModelAnswer(text, calls, Finish.CALLS if calls else finish, self._finished.usage)

    @property
    def begun(self) -> tuple[ToolCall, ...]:
        """The calls as far as a listener was told of them."""
        return tuple(ToolCall(ours, str(growing.name), growing.arguments) for ours, growing in self._begun)

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
        growing = self._calls.get(piece.index)
        if growing is None:
            if len(self._calls) == MAX_CALLS:
                raise _no_answer("it has too many calls")
            growing = self._calls[piece.index] = _CallInProgress()
        self._identify(growing, piece)
        growing.size += len(piece.arguments)
        if growing.size > MAX_ARGUMENTS_CHARS:
            raise _no_answer("a call's arguments are too long")
        try:
            fragment, growing.half = _whole(growing.half, piece.arguments, errors="strict")
        except UnicodeDecodeError:
            raise _no_answer("a call's arguments are not text") from None
        if "\0" in fragment:
            raise _no_answer("a call's arguments are not text")
        if fragment:
            growing.fragments.append(fragment)
        if growing.place is not None:
            return (NewArguments(growing.place, fragment),) if fragment else ()
        if growing.name is None or growing.repeats is not None:
            return ()
        growing.place, ours = len(self._begun), self.mint()
        self._begun.append((ours, growing))
        begun = CallBegun(growing.place, ours, growing.name)
        return (begun, NewArguments(growing.place, growing.arguments)) if growing.fragments else (begun,)

    def _identify(self, growing: _CallInProgress, piece: CallPiece) -> None:
        """Take over the native id and the name. Both may be repeated with each fragment; neither may change."""
        if piece.name is not None:
            if _NAME.fullmatch(piece.name) is None or growing.name not in (None, piece.name):
                raise _no_answer("a call's name is none")
            growing.name = piece.name
        if piece.id is None or piece.id == growing.native:
            return
        if _NATIVE_ID.fullmatch(piece.id) is None or growing.native is not None:
            raise _no_answer("a call's id is none")
        growing.native = piece.id
        growing.repeats = next((call for call in self._calls.values() if call is not growing and call.native == piece.id), None)
        if growing.repeats is not None and growing.place is not None:
            raise _no_answer("two calls have one id")  # it was told as a call of its own


def _whole(half: str, fragment: str, *, last: bool = False, errors: str = "replace") -> tuple[str, str]:
    """The characters of these, and the first half of one whose second half may come yet: servers cut UTF-16 in between."""
    text = half + fragment
    if _SURROGATE.search(text) is None:
        return text, ""
    cut = len(text) - (not last and "\ud800" <= text[-1] <= "\udbff")
    return text[:cut].encode("utf-16-le", "surrogatepass").decode("utf-16-le", errors), text[cut:]


def _no_answer(reason: str) -> ModelFailed:
    return ModelFailed("server_error", f"The model's answer is none: {reason}.")
