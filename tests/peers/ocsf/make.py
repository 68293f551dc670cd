"""Writes the JSON schema of OCSF's class API Activity (6003) beside this file, as the package `ocsf-json-schema` makes it.

Its 23 MiB of schemas are not installed for the tests: `pip install ocsf-json-schema==1.2.0` into an environment of its own, and run this
"""

import json
from pathlib import Path

from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

VERSION = "1.8.0"

made = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=VERSION)).get_class_schema("api_activity")
(Path(__file__).parent / f"api_activity-{VERSION}.json").write_text(json.dumps(made, sort_keys=True, separators=(",", ":")) + "\n")
