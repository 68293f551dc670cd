"""Health and version, `/livez`, `/readyz` and `/version`: for load balancers and operators. Without a token, and nothing secret."""

from collections.abc import Callable
from typing import Literal

from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict

from gateway.domain.policies import BundleName
from gateway.doors.bodies import json_answer
from gateway.oversight.health import DependencyState, Readiness

API_REVISION = "v1"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Liveness(_Strict):
    """The process runs and answers."""

    status: Literal["live"]


class ServedPolicies(_Strict):
    """Which policy bundle decides in the process that answered."""

    version: str
    bundle: str


class ReadinessAnswer(_Strict):
    """The state of each dependency, by its name: `store`, `log`, `keys`, `core`, `issuer_keys`, `policies`, and `model` and
    `key_storage` (the token of the keys) where one is configured. `policies` is what decides here: its version, and SHA-256 of its bundle.

    `not_ready` when `store`, `log` or `issuer_keys` does not answer: then this process is sent nothing. What all processes share and a kill
    switch does not need is told alone, whatever its state. `policies` is `unavailable` while a newer activation must not decide here and
    the last good one goes on.
    """

    status: Literal["ready", "not_ready"]
    checks: dict[str, DependencyState]
    policies: ServedPolicies


class VersionAnswer(_Strict):
    """What runs here. `api`: the revision of the API, as in its paths."""

    name: Literal["tellergate"]
    version: str
    api: Literal["v1"]


def mount(app: FastAPI, readiness: Readiness, policies: Callable[[], BundleName]) -> None:
    """Put these routes into the application. `policies`: which bundle decides now."""

    @app.get("/livez", responses={200: {"model": Liveness, "description": "The process is up"}}, openapi_extra={"security": []})
    async def get_liveness() -> Response:
        """Tell whether the process is up.

        Asks no dependency.
        """
        return json_answer({"status": "live"})

    @app.get(
        "/readyz",
        responses={
            200: {"model": ReadinessAnswer, "description": "Send requests here; calls may want for what is `unavailable`"},
            503: {"model": ReadinessAnswer, "description": "Send nothing here: `store`, `log` or `issuer_keys` does not answer"},
        },
        openapi_extra={"security": []},
    )
    async def get_readiness() -> Response:
        """Tell whether requests are to be sent here.

        The state of each dependency, and which policies decide. Answered within about a second; an answer is kept for a second.
        """
        report = await readiness.report()
        served = policies()
        told = {"status": "ready" if report.ready else "not_ready", "checks": report.states}
        answer = json_answer({**told, "policies": {"version": served.version, "bundle": served.hash}})
        if not report.ready:
            answer.status_code, answer.headers["retry-after"] = 503, "1"
        return answer

    @app.get("/version", responses={200: {"model": VersionAnswer, "description": "What runs here"}}, openapi_extra={"security": []})
    async def get_version() -> Response:
        """Tell what runs here.

        Name and version of the gateway, and the revision of its API.
        """
        return json_answer({"name": "tellergate", "version": app.version, "api": API_REVISION})
