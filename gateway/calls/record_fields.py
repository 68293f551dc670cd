"""What stands in the record of a call, out of the stages that it passed. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from adapters.function import Choice
from adapters.function import Kind as ArgumentKind
from audit.disclosure import JSON
from audit.leaf import Committed, FieldValue, Plain, Policy, Public, Record, RecordKind
from gateway.calls.arguments import canonical
from gateway.domain.mandate import Mandate
from gateway.domain.policies import BundleName
from gateway.domain.ports import Claim
from gateway.domain.stages import Call, Grounded, Redacted
from gateway.store.files import StoredFile
from policies.model import Decision, Request


def claim_on_record(claim: Claim) -> dict[str, JSON]:
    """What the book keeps of a claim and no other part of the record says: from it the row is made again where the book was lost."""
    return {
        "turn": claim.turn,
        "native_id": claim.native_id,
        "arguments_sha256": claim.arguments_hash.hex(),
        "channel": claim.channel,
        "payee": claim.payee,
        "currency": None if claim.amount is None else claim.amount.currency,
        "minor": None if claim.amount is None else claim.amount.minor,
    }


def policy_of(decision: Decision, bundle: BundleName) -> Policy:
    """What was decided, and by which bundle."""
    return Policy(
        bundle_hash=bundle.hash,
        bundle_version=bundle.version,
        decision=decision.effect.value,
        policies=decision.policies,
        reason=decision.reason.value,
    )


def grounding_of(grounded: Grounded) -> Mapping[str, str]:
    """What each sensitive argument was based on, and in what doubt, in clear: kinds, sources and codes name nobody."""
    covered = {"standing": grounded.covered.id} if grounded.covered else {}
    doubts = {"doubts": " ".join(grounded.doubts)} if grounded.doubts else {}
    return {**grounded.sources, "outcome": grounded.outcome.value, **covered, **doubts}


def arguments_of(call: Call) -> Mapping[str, FieldValue]:
    """In clear what is one of the declared choices; of all else a commitment, and of credentials nothing."""
    chosen = {argument.name for argument in call.function.arguments if isinstance(argument.type, Choice)}
    secret = {argument.name for argument in call.function.arguments if argument.kind is ArgumentKind.CREDENTIAL}
    shown = {name: value for name, value in canonical(call.arguments).items() if name not in secret}  # not even sealed
    return {name: Public(value) if name in chosen and isinstance(value, str) else Committed(value) for name, value in shown.items()}


def mandate_record(mandate: Mandate, word: str, said: Mapping[str, Plain], at: datetime) -> Record:
    """What the bank grants to a customer's assistants, or no longer: its terms sealed, their SHA-256 and `said` in clear."""
    terms = mandate.canonical()
    facts: dict[str, Plain] = {**said, "word": word, "version": mandate.version, "mandate_sha256": sha256(terms).hexdigest()}
    sealed = {"mandate": json.loads(terms)}
    return Record(kind=RecordKind.ADMIN, time=at, customer=mandate.customer, facts=facts, sealed=sealed)


def file_record(file: StoredFile, word: str, by: str, at: datetime) -> Record:
    """What happened to a file: what it is called and the hash of what is in it are sealed, since both may be guessed."""
    content = file.content
    facts: dict[str, Plain] = {"file": file.id, "word": word, "by": by, "purpose": file.purpose}
    facts |= {"bytes": content.size, "type": content.type}
    sealed: dict[str, JSON] = {"name": file.name, "sha256": content.sha256.hex()}
    return Record(kind=RecordKind.ADMIN, time=at, customer=file.owner.customer, facts=facts, sealed=sealed)


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """A search of a vector store. `customer` None: by the client itself. `questions`: SHA-256 of them as JSON. `found`: ids of files."""

    store: str
    customer: str | None
    by: str
    questions: bytes
    found: tuple[str, ...]


def search_record(told: SearchRecord, at: datetime) -> Record:
    """What was asked is sealed although it is a hash: a question may be guessed."""
    facts: dict[str, Plain] = {"vector_store": told.store, "word": "searched", "by": told.by, "found": len(told.found)}
    sealed: dict[str, JSON] = {"questions_sha256": told.questions.hex(), "files": list(told.found)}
    return Record(kind=RecordKind.ADMIN, time=at, customer=told.customer, facts=facts, sealed=sealed)


def told_to_app(redacted: Redacted) -> dict[str, Plain]:
    """In clear: which fields were told whole to the app, and as which data classes. The values are sealed."""
    shown = [field for field in redacted.call.function.output if field.name in (redacted.app or {})]
    if not shown:
        return {}
    classes = sorted({field.app_class for field in shown if field.app_class is not None})
    return {"app_fields": tuple(sorted(field.name for field in shown)), "app_classes": tuple(classes)}


def replayable(requests: tuple[Request, ...]) -> dict[str, JSON]:
    """The exact decision requests with their entity slices: what a replay needs, sealed."""
    return {
        "decision_request": [
            {
                "principal": [request.principal.type, request.principal.id],
                "action": request.action,
                "resource": [request.resource.type, request.resource.id],
                "context": request.context,
                "entities": list(request.entities),
            }
            for request in requests
        ]
    }
