"""What serves customers and what is for development are two compositions of the same parts, and the first knows nothing of the second."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.app.composition import Composition
from gateway.app.development.composition import DEVELOPMENT
from gateway.app.development.settings import development
from gateway.app.main import open_gateway
from gateway.app.production import PRODUCTION
from gateway.app.settings import Settings
from gateway.app.unsafe_settings import UnsafeSettings

ROOT = Path(__file__).parents[2]

OF_DEVELOPMENT = (
    "adapters.cores.sandbox",
    "gateway.app.development",
    "gateway.commands.development",
    "gateway.commands.demo",
    "gateway.commands.scripted_model",
    "gateway.doors.playground",
    "gateway.doors.pages.docs",
    "gateway.doors.pages.enrol",
    "gateway.doors.pages.landing",
)


def imported(module: str) -> set[str]:
    """What stands in `sys.modules` of a new interpreter that imported this and nothing else."""
    program = f"import sys, {module}; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name for name in told.stdout.split() if name.startswith(OF_DEVELOPMENT)}


def test_what_serves_customers_imports_nothing_of_development_mode() -> None:
    assert imported("gateway.commands.serving") == set()
    assert "gateway.app.development.local_issuer" in imported("gateway.commands.development")


MAY_ASK = {
    "gateway/app/settings.py",
    "gateway/app/settings_checks.py",
    "gateway/app/production.py",
    "gateway/app/development/composition.py",
}
"""The settings and their checks, and each composition, which refuses the settings of the other."""


def test_nobody_but_the_settings_asks_whether_it_is_development_mode() -> None:
    asking = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "gateway").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "development"
    }
    assert asking == MAY_ASK


@pytest.mark.parametrize(("composition", "mode"), [(DEVELOPMENT, False), (PRODUCTION, True)])
async def test_each_composition_refuses_the_settings_of_the_other(composition: Composition, mode: bool, tmp_path: Path) -> None:
    data = tmp_path / "data"
    settings = development(data) if mode else Settings(data=data, development=False)
    with pytest.raises(UnsafeSettings, match="--dev"):
        await open_gateway(settings, composition)
    assert not data.exists()
