"""What an operator must look at, as one line of JSON for the log: `{"alarm": ..., its fields, "runbook": ...}`. Pure; the caller logs it.

    _LOG.log(*CoreAlarm.CORE_BREAKER.line(state="open", failures=5))

Each alarm is declared once, with its level and its fields, and has a section of its own in `deploy/RUNBOOK.md`. A field is a cause, a
count or an id of ours, never a customer's value.
"""

import json
import logging
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class AlarmForm:
    """How an alarm is written. `level`: of `logging`. `fields`: in their order, all of them each time."""

    code: str
    level: int
    fields: tuple[str, ...] = ()


class DeclaredAlarm(Enum):
    """A closed list of alarms: each member's value is its form."""

    @property
    def form(self) -> AlarmForm:
        form: AlarmForm = self.value
        return form

    @property
    def runbook(self) -> str:
        """Where it says what to do."""
        return f"RUNBOOK.md#{self.form.code}"

    def line(self, **fields: str | float | None) -> tuple[int, str]:
        """The level, and the line. TypeError for other fields than the declared ones: they are the contract with whoever reads the log."""
        form = self.form
        if set(fields) != set(form.fields):
            raise TypeError(f"the alarm {form.code} has the fields {form.fields}")
        named = {name: fields[name] for name in form.fields}
        return form.level, json.dumps({"alarm": form.code, **named, "runbook": self.runbook})


ALARM = "alarm"
"""The member of a line that holds the alarm's code, the first one."""


def code_of(line: str) -> str | None:
    """The code of an alarm's line; None for any other line."""
    return str(json.loads(line)[ALARM]) if line.startswith(f'{{"{ALARM}": ') else None


class CoreAlarm(DeclaredAlarm):
    """Of what stands behind the port: the core, and the upstream of declared functions."""

    CORE_OUTCOME_UNKNOWN = AlarmForm("core_outcome_unknown", logging.WARNING, ("cause",))
    CORE_REFUSES = AlarmForm("core_refuses", logging.ERROR, ("code",))
    CORE_BREAKER = AlarmForm("core_breaker", logging.WARNING, ("state", "failures"))
    UPSTREAM_OUTCOME_UNKNOWN = AlarmForm("upstream_outcome_unknown", logging.WARNING, ("cause",))
    UPSTREAM_ANSWER = AlarmForm("upstream_answer", logging.WARNING, ("function", "cause"))
    UPSTREAM_TOOL_CHANGED = AlarmForm("upstream_tool_changed", logging.ERROR, ("tool", "cause"))
    UPSTREAM_TOOLS_UNREAD = AlarmForm("upstream_tools_unread", logging.WARNING, ("cause",))
    UPSTREAM_BREAKER = AlarmForm("upstream_breaker", logging.WARNING, ("state", "failures"))
