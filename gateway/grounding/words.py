"""What a record says of the sources of a call's values, in plain words: for auditors and reviewers. Pure."""

from collections.abc import Mapping, Sequence

from gateway.grounding import sources

_KINDS: Mapping[str, str] = {
    "payee": "Whom it pays",
    "amount": "How much",
    "credential": "The credential",
    "profile": "What is to be changed",
    "free_text": "The text that goes along",
    "object": "What it is about",
    "document": "The document",
    "scope": "That it is done at all",
}

_SOURCES: Mapping[str, str] = {
    sources.OWN: "is the customer's own, as the bank knows",
    sources.KNOWN: "was typed by the customer, who has paid them before",
    sources.TYPED: "was typed by the customer",
    sources.UNCHANGED: "stays as the bank has it",
    sources.NEW: "was typed by the customer, and is new: they are asked",
    sources.PASTED: "stood in text that the customer pasted: they are asked",
    sources.DOCUMENT: "stood in a document that the customer named: they are asked",
    sources.AMBIGUOUS: "is one of several that the customer named: they are asked",
    sources.CALCULATED: "follows from what the customer named: they are asked",
    sources.OUT_OF_SCOPE: "was not plainly asked for: they are asked",
    sources.UNNAMED: "was named by nobody: what stands in it counts for nothing",
    sources.UNGROUNDED: "was said by nobody who counts: denied without asking",
    sources.WITHDRAWN: "was spoken against, or taken back: denied without asking",
    sources.USED: "was meant once, and done or asked once already: denied without asking",
}


def in_words(grounding: Mapping[str, str]) -> Sequence[str]:
    """One sentence for each value, from the `grounding` of a record; what the words do not know stands as it is."""
    told = [
        f"{_KINDS.get(kind, kind)} {_SOURCES.get(source, source)}."
        for kind, source in sorted(grounding.items())
        if kind not in ("outcome", "standing")
    ]
    if "standing" in grounding:
        told.append(f"Nobody was asked: the customer had signed the standing mandate {grounding['standing']}.")
    return told
