"""The published OpenAPI is right, and nothing that it allows, or does not allow, makes the server fail."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.cli import main
from gateway.domain.principal import (
    SCOPE_ASSISTANTS,
    SCOPE_CONFIRM,
    SCOPE_ENROL,
    SCOPE_KILL,
    SCOPE_MANDATES,
    SCOPE_THREADS,
    SCOPE_WORDS,
)
from tests.doors.conftest import Served, serving
from tests.support import databases
from tests.support.options import long_or

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


BARE = ("/livez", "/readyz", "/version")
"""Neither parameters, nor a body, nor a token: nothing of them can be wrong."""


def bounded(examples: int) -> settings:
    """As many examples, the same each time."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of its own: fuzzing leaves there whatever it managed to make, the document's examples among it."""
    with serving(tmp_path_factory.mktemp("fuzzed") / "data") as found:
        yield found


OF_ASSISTANTS = ("/v1/assistants", "/v1/threads", "/v1/files", "/v1/uploads", "/v1/vector_stores", "/v1/chat", "/v1/responses")


@pytest.mark.long
def test_the_openapi_document_holds_under_fuzzing(served: Served) -> None:
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    assistant = served.token("bruno")
    own = served.token("bruno", agent=None, scope=SCOPE_CONFIRM)
    enrolling = served.token("identity", agent=None, client="identity", scope=SCOPE_ENROL)
    killing = served.token("officer", agent=None, client="officer", scope=SCOPE_KILL)
    granting = served.token("bank-system", agent=None, client="bank-system", scope=SCOPE_MANDATES)
    making = served.token("dev-app", agent=None, scope=SCOPE_ASSISTANTS)
    chatting = served.token("bruno", agent=None, scope=f"{SCOPE_THREADS} {SCOPE_WORDS}")
    of_path = {"/v1/confirmations": own, "/v1/passkeys": enrolling, "/v1/kill-switches": killing}
    of_path |= {
        "/v1/assistants": making,
        "/v1/threads": chatting,
        "/v1/chat": chatting,
        "/v1/models": chatting,
        "/v1/responses": chatting,
        "/v1/customers": granting,
        "/v1/files": chatting,
        "/v1/uploads": chatting,
        "/v1/vector_stores": chatting,
    }
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert len(operations) == 81
    for operation in operations:
        modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
        for mode in modes[:1] if operation.path in BARE else modes:

            @bounded(long_or(6, 2, 10) if operation.path.startswith(OF_ASSISTANTS) else long_or(20, 5, 40))
            def fuzz(case: schemathesis.Case[Any]) -> None:
                bearer = next((item for path, item in of_path.items() if case.path.startswith(path)), assistant)
                case.call_and_validate(headers={"authorization": f"Bearer {bearer}"}, checks=CHECKS)

            strategy: st.SearchStrategy[schemathesis.Case[Any]] = operation.as_strategy(generation_mode=mode)
            given(case=strategy)(fuzz)()
            let_go_on(served)
    assert served.get("/v1/functions?shape=chat", token=served.token("bruno")).status_code == 200


def let_go_on(served: Served) -> None:
    """Lift what the fuzzer engaged, or everybody after it would be refused."""
    token = served.token("officer", agent=None, client="officer", scope=SCOPE_KILL)
    for item in served.get("/v1/kill-switches", token=token).json()["data"]:
        for name in ("ada", "ben"):
            where = ["--data", str(served.data), "--database", databases.url(served.data)]
            key = str(served.data / "dev" / "officers" / f"{name}.key")
            assert main(["kill", "lift", item["id"], "--officer-key", key, "--reason", "after the fuzzer", *where]) == 0
    assert served.get("/v1/kill-switches", token=token).json() == {"data": []}
