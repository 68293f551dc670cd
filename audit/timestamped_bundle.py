"""The time stamps of a bundle, checked beside `verify`: apart from it, since this needs the extra `timestamps`.

11. Each token is over the bytes of its note, which is a checkpoint of this bundle, signed by the log's keys; it leads to a root that the
    auditor has from elsewhere; and it was made within 15 minutes of the time that the checkpoint states. Whoever stole the log's keys can
    state any time, and gets no token of a day that is over.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography.x509 import Certificate

from audit.timestamps import TimestampInvalid, verify_timestamp
from audit.verify import STAMPS_UNCHECKED, Bundle, Finding, Report, read_checkpoint

APART_MOST_S = 900


class TimestampStep:
    """`roots`: what the authorities' certificates must lead to."""

    def __init__(self, roots: Sequence[Certificate]) -> None:
        self._roots = roots

    def __call__(self, bundle: Bundle, report: Report) -> None:
        names = [name for name in bundle.entries if name.startswith("timestamps/") and name.endswith(".tsr")]
        report.notes = [note for note in report.notes if not note.endswith(STAMPS_UNCHECKED)]
        found = [self._one(name, bundle) for name in names]
        report.facts["timestamps"] = [{"size": size, "time": time.isoformat(), "policy": policy} for size, time, policy in found]
        if not found:
            raise Finding("order", "11. no checkpoint of this bundle bears a time stamp")
        size, time, _ = max(found, key=lambda each: (each[0], each[1]))
        report.notes.append(f"{len(found)} time stamps: the newest says that records below {size} were there at {time.isoformat()}")

    def _one(self, name: str, bundle: Bundle) -> tuple[int, datetime, str]:
        """Size, moment and policy. Finding."""
        note = bundle.read(f"{name.removesuffix('.tsr')}.note")
        size, root, stated_s = read_checkpoint(note, bundle)
        if bundle.checkpoints.get(size) != root or not name.startswith(f"timestamps/{size:016d}-"):
            raise Finding("order", f"11. {name} is not of a checkpoint of this bundle")
        try:
            told = verify_timestamp(bundle.read(name), note, self._roots)
        except TimestampInvalid as error:
            raise Finding("authenticity", f"11. {name} does not count: {error}") from None
        if abs(told.time.timestamp() - stated_s) > APART_MOST_S:
            stated = datetime.fromtimestamp(stated_s, UTC).isoformat()
            raise Finding(
                "freshness", f"11. checkpoint {size} states {stated}, and was stamped at {told.time.isoformat()}: dated back"
            )
        return size, told.time, told.policy
