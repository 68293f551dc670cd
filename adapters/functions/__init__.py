"""The functions that a model may call, one module each. Adding a function is adding its module: nothing else lists them."""

import pkgutil
from importlib import import_module

from adapters.function import BankingFunction


def _discovered() -> tuple[BankingFunction, ...]:
    found = []
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        function = import_module(f"{__name__}.{name}").FUNCTION
        if not isinstance(function, BankingFunction) or function.name != name:
            raise TypeError(f"{name} must export FUNCTION, a BankingFunction of that name")
        found.append(function)
    return tuple(found)


MANIFEST: tuple[BankingFunction, ...] = _discovered()
"""Every function, sorted by name."""
