"""Which of an assistant's tools the demo can show here: the code interpreter in its larger tier where there are jails, else the smaller."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.app.host_checks import DOCUMENT_MODULES, is_installed
from gateway.app.kept_settings import BUBBLEWRAP, NO_CODE_INTERPRETER
from gateway.app.settings import Settings
from gateway.code import jailed

PYTHON, COMPUTE = "python", "compute"

_FILES = ("numpy", "python_multipart", "puremagic")
_CODE = ("matplotlib", "numpy", "pandas", "pyseccomp")
_MONTY = "pydantic_monty"


@dataclass(frozen=True, slots=True)
class ToolMeans:
    """What this install and this host have. `missing`: a sentence for each thing that is not shown, or smaller, and how to have it."""

    files: bool
    documents: bool
    tier: str
    missing: Sequence[str] = ()

    @property
    def code(self) -> bool:
        return self.tier != NO_CODE_INTERPRETER

    def settings(self, settings: Settings) -> Settings:
        """The same settings with what is there switched on."""
        sandbox = BUBBLEWRAP if self.documents else settings.sandbox
        return replace(settings, sandbox=sandbox, code_interpreter=self.tier)


def tool_means() -> ToolMeans:
    """Looks at what is installed, and tries a jail."""
    if not all(map(is_installed, _FILES)):
        nothing = "Files, file search and the code interpreter are not shown: " + _extra("files")
        return ToolMeans(files=False, documents=False, tier=NO_CODE_INTERPRETER, missing=(nothing,))
    has_code, has_documents = all(map(is_installed, _CODE)), all(map(is_installed, DOCUMENT_MODULES))
    problem = jailed.refusal() if has_code or has_documents else None
    missing = []
    if problem is not None:
        see = "see `Documents in a sandbox` in deploy/README.md"
        missing.append(f"No PDF is read, and code is arithmetic without charts: this host has no sandbox ({problem}); {see}.")
    if not has_documents:
        missing.append("The terms are plain text, no PDF: " + _extra("documents"))
    if has_code and problem is None:
        return ToolMeans(files=True, documents=has_documents, tier=PYTHON, missing=missing)
    if is_installed(_MONTY):
        if not has_code:
            missing.append("Code is arithmetic, without charts: " + _extra("code"))
        return ToolMeans(files=True, documents=has_documents and problem is None, tier=COMPUTE, missing=missing)
    missing.append("The code interpreter is not shown: " + _extra("code"))
    return ToolMeans(files=True, documents=has_documents and problem is None, tier=NO_CODE_INTERPRETER, missing=missing)


def _extra(name: str) -> str:
    return f"pip install 'tellergate[{name}]' installs what it needs."
