"""When the answer to `reveal` may be remembered: only if it cannot depend on what is not in the key.

Cedar's answer is a function of the policies, the request and the entities. If no policy that can concern `reveal` reads the
principal, an entity or the context beyond certain paths, it is a function of the values at those paths and of the data class. Then,
and only then, these values are the key. A bundle whose rules read more is asked each time.
"""

from collections.abc import Mapping, Sequence

from cedarpy import pst

from policies.cedar import Policy
from policies.model import JSON
from policies.static_analysis import Path, context_paths

Key = tuple[object, ...]

_MOST_KEYS = 1024
_SCALARS = (str, int, bool)
_ABSENT = object()
_OTHER = object()


class Disclosure:
    """The remembered answers of one bundle. Bounded; forgetting costs time, never changes an answer."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._paths = _paths(policies)
        self._known: dict[Key, dict[str, bool]] = {}

    def key(self, context: Mapping[str, JSON]) -> Key | None:
        """All that the answer depends on besides the data class. None: ask each time."""
        if self._paths is None:
            return None
        values = tuple(_at(context, path) for path in self._paths)
        return None if _OTHER in values else values

    def known(self, key: Key) -> dict[str, bool]:
        """What is known under this key: whether a data class may leave. The caller adds to it."""
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KEYS:
                self._known.clear()
            found = self._known[key] = {}
        return found


def _paths(policies: Sequence[Policy]) -> tuple[Path, ...] | None:
    found: set[Path] = set()
    for policy in policies:
        paths = context_paths(policy)
        if paths is None or not isinstance(policy.principal, pst.ScopeAny):
            return None
        if not isinstance(policy.resource, pst.ScopeAny | pst.ScopeEq):
            return None
        found |= paths
    return tuple(sorted(found))


def _at(context: Mapping[str, JSON], path: Path) -> object:
    """The value with its type (1 and True are equal to Python), or what says that it is missing or no scalar."""
    value: JSON | object = context
    for member in path:
        if not isinstance(value, Mapping):
            return _OTHER
        value = value.get(member, _ABSENT)
        if value is _ABSENT:
            return _ABSENT
    return (type(value), value) if isinstance(value, _SCALARS) else _OTHER
