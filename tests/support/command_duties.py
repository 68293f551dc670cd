"""Whose key each verb of the command line takes, or why it takes nobody's: one table, which a test walks over the parser itself."""

from collections.abc import Mapping

from gateway.domain.duties import Duty

_LOOKS = "it shows nothing of customers and changes nothing"
_HOLDS = "whoever holds the folder or the database's address can do it, and what it makes is verified"
_OWN = "it works on a file that is named, and on nothing of a gateway"
_DEVELOPMENT = "development mode alone: everything there is made up"
_WITNESS = "it works on a witness's own folder, apart from every gateway; whoever holds that may"
_SERVES = "a process that serves; who may ask it is said by its own credentials"

COMMANDS: Mapping[str, tuple[Duty, ...] | str] = {
    "demo": _DEVELOPMENT,
    "serve": _SERVES,
    "sandbox-bank": _SERVES,
    "core-proxy": _SERVES,
    "code serve": "a process that serves who reaches its socket; it has nothing of anybody's",
    "code status": _LOOKS,
    "init": _HOLDS,
    "backup": _HOLDS,
    "restore": _HOLDS,
    "settings check": _LOOKS,
    "settings show": _LOOKS,
    "completion": _LOOKS,
    "dev token": _DEVELOPMENT,
    "dev confirm": _DEVELOPMENT,
    "dev decline": _DEVELOPMENT,
    "audit query": (Duty.QUERY, Duty.SEARCH_SEALED),
    "audit agent": (Duty.QUERY, Duty.SEARCH_SEALED),
    "audit life": (Duty.QUERY,),
    "audit report": (Duty.QUERY,),
    "audit who-looked": (Duty.QUERY,),
    "audit reveal": (Duty.REVEAL,),
    "audit verify": "it says whether the log is whole, and nothing of what is in it",
    "audit checkpoint": "a checkpoint is public",
    "audit verifiers": "the verifiers and their hashes are public",
    "audit evidence": _OWN,
    "audit monitor": "it reads public hashes, from outside",
    "audit streams list": "how far streams are, and nothing of what is in them",
    "audit streams skip": (Duty.SKIP_RECORD,),
    "audit export": (Duty.EXPORT,),
    "audit hold": (Duty.PLACE_HOLD, Duty.RELEASE_HOLD),
    "audit erase": (Duty.ERASE, Duty.ERASE_DUE),
    "audit reconcile": (Duty.RECONCILE,),
    "audit recover": (Duty.SUCCEED,),
    "approvals ask": (Duty.ASK_APPROVAL,),
    "approvals list": (Duty.LIST_APPROVALS,),
    "approvals give": (Duty.APPROVE,),
    "policy check": _OWN,
    "policy test": _OWN,
    "policy diff": "it shows nothing of customers and changes nothing; with `--active` it reads which rules are in force",
    "policy explain": (Duty.REVEAL,),
    "policy build": _OWN,
    "policy officer": _OWN,
    "policy sign": "it signs by the key that it is given; what counts is who verifies it",
    "policy verify": _OWN,
    "policy activate": "an author's and an activator's signatures on the bundle are the two people (`policies.activate`)",
    "policy rollback": "what it makes is signed by two again before it decides",
    "policy list": _LOOKS,
    "database status": _LOOKS,
    "database upgrade": "the owner's role of the database, or the folder, is what lets it, also before anybody is pinned; a key would "
    "have to lie beside the job that runs it before each start. It only adds to tables, and what is in them is verified all the same",
    "database recover": (Duty.RECOVER,),
    "database roles": "the owner of the database grants them, by the owner's address",
    "functions list": _LOOKS,
    "functions check": _OWN,
    "functions import-openapi": _OWN,
    "functions import-mcp": "it asks a server that is named, or reads a file, and touches nothing of a gateway",
    "functions definitions": _LOOKS,
    "functions reference": _LOOKS,
    "functions schema": _LOOKS,
    "mandates sign": "it signs by the mandate key of the folder; nothing counts until it is imported",
    "mandates import": (Duty.IMPORT_MANDATES,),
    "mandates list": "whoever holds the folder or the database's address can read it",
    "kill engage": (Duty.ENGAGE,),
    "kill lift": (Duty.LIFT,),
    "kill list": "an operator must see what is stopped when nothing else answers",
    "keys permits": "public keys",
    "keys webhook": "public keys",
    "keys list": _LOOKS,
    "keys export-public": "public keys",
    "keys rotate": (Duty.ROTATE_KEY,),
    "keys retire": (Duty.RETIRE_KEY,),
    "keys make": (Duty.MAKE_KEY,),
    "keys seal": _HOLDS,
    "witness keygen": _WITNESS,
    "witness add-log": _WITNESS,
    "witness status": _WITNESS,
    "witness serve": _SERVES,
}

ROUTES: Mapping[Duty, tuple[str, ...]] = {
    Duty.LIST_SWITCHES: ("GET /v1/kill-switches",),
    Duty.ENGAGE: ("POST /v1/kill-switches",),
    Duty.LIFT: ("POST /v1/kill-switches/{id}/lift",),
    Duty.QUERY: ("POST /v1/audit/questions", "POST /v1/audit/looks", "POST /v1/audit/calls/{id}", "POST /v1/audit/reports"),
    Duty.SEARCH_SEALED: ("POST /v1/audit/questions",),
    Duty.REVEAL: ("POST /v1/trail/reveal",),
    Duty.EXPORT: ("POST /v1/exports",),
    Duty.FETCH_ENTRIES: ("GET /tlog/tile/entries/{place}",),
    Duty.ERASE: ("POST /v1/erasures",),
    Duty.LIST_APPROVALS: ("GET /v1/approvals",),
    Duty.ASK_APPROVAL: ("POST /v1/approvals",),
    Duty.APPROVE: ("POST /v1/approvals/{id}/approve",),
}
"""Where the same is done on the operations listener."""

NOBODYS: Mapping[Duty, str] = {
    Duty.LIST_SWITCHES: "kill list",
    Duty.VERIFY: "audit verify",
    Duty.ACTIVATE: "policy activate",
}
"""Duties whose command takes nobody's key, as `COMMANDS` says why."""


def without_a_key() -> Mapping[str, list[str]]:
    """The commands that take nobody's key, by the reason, as they stand above; development's are left out."""
    found: dict[str, list[str]] = {}
    for verb, taken in COMMANDS.items():
        if isinstance(taken, str) and taken != _DEVELOPMENT:
            found.setdefault(taken, []).append(verb)
    return found


def places(duty: Duty) -> str:
    """Where a duty is done, for the guide."""
    verbs = [f"`{verb}`" for verb, taken in COMMANDS.items() if not isinstance(taken, str) and duty in taken]
    nobodys = [f"`{NOBODYS[duty]}` (no key)"] if duty in NOBODYS else []
    return ", ".join([*verbs, *nobodys, *(f"`{route}`" for route in ROUTES.get(duty, ()))])
