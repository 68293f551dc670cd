"""Alerts and the dashboard of `deploy/`: in the form that Prometheus takes, about metrics that there are, with sections of the runbook."""

import asyncio
import json
import logging
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from adapters.alarms import CoreAlarm
from gateway.app.measures import Measuring
from gateway.app.serving import _refused
from gateway.calls.telemetry import watch_breaker
from gateway.domain.alarms import Alarm
from tests.attacks.test_operations_listener import free_port
from tests.simulation.test_metrics import samples
from tests.support.postgres import absent
from tests.support.teller import teller

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
RULES: list[dict[str, Any]] = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
PANELS: list[dict[str, Any]] = json.loads((ROOT / "deploy" / "grafana" / "tellergate.json").read_text())["panels"]
ALL_ALARMS = (*Alarm, *CoreAlarm)


def asked(expression: str) -> set[str]:
    return set(re.findall(r"\btellergate_[a-z_]+", expression))


def promtool(*arguments: str) -> None:
    if shutil.which("promtool") is None:
        absent("promtool (Debian's package prometheus)")
    ran = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def anchors() -> Iterator[str]:
    for line in (ROOT / "deploy" / "RUNBOOK.md").read_text().splitlines():
        if line.startswith("#"):
            yield re.sub(r"[^a-z0-9_ -]", "", line.lstrip("# ").lower()).replace(" ", "-")


async def test_alerts_and_dashboard_are_about_metrics_that_there_are(tmp_path: Path) -> None:
    async with teller(tmp_path / "data", metrics=True, operations_port=free_port()) as opened:
        gateway = opened.gateway
        assert gateway.prometheus is not None
        watch_breaker(gateway.instruments[1].get_meter("tellergate"), lambda: "closed")
        _refused(gateway).add(1, {"cause": "connections"})
        with Measuring(gateway).going() as chores:
            states = asyncio.create_task(chores[0])
            await opened.ask("list_accounts")
            await gateway.log.publish(force=True)
            await gateway.log.publish()
            known: set[str] = set()
            while "tellergate_ready" not in known:
                await asyncio.sleep(0.05)
                known = set(samples(await gateway.prometheus.scraped()))
            states.cancel()
            for chore in chores[1:]:
                chore.close()
    told = {name for rule in RULES for name in asked(rule["expr"])}
    told |= {name for panel in PANELS for target in panel["targets"] for name in asked(target["expr"])}
    assert len(told) > 15
    assert told - known == set()


def test_prometheus_takes_the_rules_and_they_fire_when_they_should_and_not_otherwise(tmp_path: Path) -> None:
    promtool("check", "rules", str(ALERTS))
    written = (ROOT / "tests" / "samples" / "alerts.test.yml").read_text().replace("RULES", str(ALERTS))
    (tmp_path / "alerts.test.yml").write_text(written)
    promtool("test", "rules", str(tmp_path / "alerts.test.yml"))


def test_prometheus_takes_every_question_of_the_dashboard(tmp_path: Path) -> None:
    questions = [target["expr"] for panel in PANELS for target in panel["targets"]]
    rules = [{"record": f"panel:{number}", "expr": question} for number, question in enumerate(questions)]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", str(tmp_path / "panels.yml"))
    assert len({panel["title"] for panel in PANELS}) == len(PANELS) > 12


def test_each_alert_names_a_section_of_the_runbook_and_so_does_each_alarm() -> None:
    sections = set(anchors())
    codes = {alarm.form.code: alarm.form.level for alarm in ALL_ALARMS}
    assert set(codes) <= sections
    for rule in RULES:
        anchor = rule["annotations"]["runbook"].removeprefix("RUNBOOK.md#")
        assert anchor in sections or anchor == "{{ $labels.alarm }}", rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket")
    of = {
        rule["alert"]: set(re.findall(r'alarm=~"([^"]+)"', rule["expr"])[0].split("|"))
        for rule in RULES
        if "alarm=~" in rule["expr"]
    }
    assert of["TellergateAlarm"] == {code for code, level in codes.items() if level >= logging.ERROR}
    assert of["TellergateWarning"] == {code for code, level in codes.items() if level < logging.ERROR}
