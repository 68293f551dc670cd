"""The published OpenAPI is right, and nothing that it allows, or does not allow, makes the server fail."""

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.identity import SCOPE_CONFIRM, SCOPE_ENROL
from tests.doors.conftest import Served

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def test_the_openapi_document_holds_under_fuzzing(served: Served) -> None:
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    own = served.token("bruno", agent=None, scope=SCOPE_CONFIRM)
    enrolling = served.token("identity", agent=None, client="identity", scope=SCOPE_ENROL)
    of_path = {"/v1/confirmations": own, "/v1/passkeys": enrolling}
    operations = [each.ok() for each in schema.get_all_operations()]
    assert len(operations) == 10
    for operation in operations:
        token = next((each for path, each in of_path.items() if operation.path.startswith(path)), served.token("bruno"))
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):

            @settings(
                max_examples=40,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def fuzz(case: schemathesis.Case, token: str = token) -> None:
                case.call_and_validate(headers={"authorization": f"Bearer {token}"}, checks=CHECKS)

            strategy: st.SearchStrategy[schemathesis.Case] = operation.as_strategy(generation_mode=mode)
            given(case=strategy)(fuzz)()
    assert served.get("/v1/functions?shape=chat", token=served.token("bruno")).status_code == 200
