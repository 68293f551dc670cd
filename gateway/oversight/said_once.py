"""What is wrong for long is said once, and again from time to time. One process alone."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class SaidOnce:
    """Remembers what was said about whom. `again_s`: what stays as it is is said again after so many seconds."""

    again_s: float
    _told: dict[str, tuple[str, float]] = field(default_factory=dict)

    def is_news(self, about: str, what: str, now_s: float) -> bool:
        """Whether to say this now; it counts as said then."""
        said, at_s = self._told.get(about, ("", 0.0))
        if said == what and now_s - at_s < self.again_s:
            return False
        self._told[about] = (what, now_s)
        return True

    def is_well(self, about: str) -> None:
        """Whatever comes next is news."""
        self._told.pop(about, None)
