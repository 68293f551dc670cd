"""How long a core behind HTTP is waited for, and how often it is asked. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientBounds:
    """How long and how often. Times in seconds, on a monotonic clock."""

    question_s: float = 2.0
    """From asking to the answer, with every repeat."""
    instruction_s: float = 10.0
    connect_s: float = 0.5
    silence_s: float = 4.0
    """Without a byte for so long, or for half of the deadline, a connection is given up."""
    tries: int = 3
    pause_s: float = 0.02
    """Before the second try, doubled before each further one; the real pause is a random part of it."""
    connections: int = 64
    idle_s: float = 15.0
    """How long an idle connection is kept: less than the server keeps it, so that it is rarely closed while something is sent."""
