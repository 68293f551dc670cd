"""What Prometheus scrapes: what it tells, of whom it tells nothing, and several workers of whom one is asked."""

import asyncio
import logging
import multiprocessing
import re
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client.parser import text_string_to_metric_families

from adapters.alarms import CoreAlarm
from gateway.app.keys import PURPOSES
from gateway.app.measures import Measuring
from gateway.app.operations import operations_application
from gateway.app.people import people_of
from gateway.app.prometheus import PrometheusText
from gateway.app.shared_pages import PAGE_BYTES, STALE_S, SharedPages
from gateway.domain.alarms import Alarm
from tests.attacks.test_operations_listener import free_port
from tests.support.teller import Teller, output_of, payment, teller
from tests.support.waiting import WAITS_S

LABELS = {"function", "status", "code", "worker", "purpose", "dependency", "alarm", "version", "le", "cause"}
LABELS |= {"word", "state", "outcome"}


def samples(text: bytes) -> Mapping[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return found


async def test_what_is_done_is_told_with_bounded_labels_and_nothing_of_a_customer(tmp_path: Path) -> None:
    async with teller(tmp_path / "data", metrics=True, operations_port=free_port()) as asked:
        gateway = asked.gateway
        assert gateway.prometheus is not None
        with Measuring(gateway).going() as chores:
            states = asyncio.create_task(chores[0])
            debit, credit = (await asked.accounts())[:2]
            assert (await asked.ask("initiate_transfer", payment(debit, credit, "12.34"))).status == "done"
            assert (await asked.ask("a model's own word")).status == "denied"
            await declined_payment(asked, debit)
            await gateway.log.publish(force=True)
            await gateway.log.publish()
            logging.getLogger("tellergate.main").log(*Alarm.STARTED_WITHOUT_CORE.line())
            await asyncio.sleep(0.2)
            text = await gateway.prometheus.scraped()
            states.cancel()
            for chore in chores[1:]:
                chore.close()
    told = samples(text)
    calls = {(labels["function"], labels["status"]): value for labels, value in told["tellergate_calls_total"]}
    assert calls[("initiate_transfer", "done")] == 1
    assert calls[("unknown", "denied")] == 1
    assert {labels["purpose"] for labels, _ in told["tellergate_key_age_seconds"]} == {purpose.name for purpose in PURPOSES}
    assert told["tellergate_log_size"][0][1] > 5
    assert told["tellergate_log_group_count"][0][1] > 3
    assert told["tellergate_log_commit_duration_seconds_count"][0][1] == told["tellergate_log_group_count"][0][1]
    assert 0 <= told["tellergate_checkpoint_age_seconds"][0][1] < 60
    assert {labels["dependency"]: value for labels, value in told["tellergate_ready"]}["store"] == 1
    alarms = {labels["alarm"]: value for labels, value in told["tellergate_alarms_total"]}
    assert {code for code, value in alarms.items() if value} == {"started_without_core"}
    assert set(alarms) == {alarm.form.code for alarm in (*Alarm, *CoreAlarm)}
    assert told["tellergate_worker_up"] == [({"worker": "0"}, 1.0)]
    assert told["tellergate_confirmations_total"] == [({"word": "declined", "worker": "0"}, 1.0)]
    assert {name for of_name in told.values() for labels, _ in of_name for name in labels} <= LABELS
    assert not re.search(rb"alice|acc_|call_[0-9a-f]{6}|conv_|a model's|Everyday", text)


async def declined_payment(asked: Teller, debit: str) -> None:
    """A payment that waits for the customer, who declines it."""
    saved = output_of(await asked.ask("list_beneficiaries", {"account": debit}))["beneficiaries"][0]
    await asked.say(f"Pay {saved['name']} £5.00")
    held = await asked.ask("initiate_transfer", payment(debit, saved["beneficiary"], "5.00"))
    assert held.confirmation is not None, held
    await asked.gateway.confirmations.decline("alice", held.confirmation, asked.gateway.door.clock())


def test_the_worker_that_is_asked_tells_all_of_them_and_says_who_is_silent() -> None:
    pages = SharedPages(3)
    ours = PrometheusText()
    MeterProvider([ours.reader]).get_meter("t").create_counter("tellergate.calls").add(1, {"function": "list_accounts"})
    ours.beside(pages, 0)
    context = multiprocessing.get_context("fork")

    def other() -> None:
        theirs = PrometheusText()
        MeterProvider([theirs.reader]).get_meter("t").create_counter("tellergate.calls").add(5, {"function": "list_accounts"})
        theirs.beside(pages, 2)
        asyncio.run(theirs.scraped())

    process = context.Process(target=other, daemon=True)
    process.start()
    process.join(WAITS_S)
    assert process.exitcode == 0
    told = samples(asyncio.run(ours.scraped()))
    assert sorted((labels["worker"], value) for labels, value in told["tellergate_calls_total"]) == [("0", 1.0), ("2", 5.0)]
    assert sorted((labels["worker"], value) for labels, value in told["tellergate_worker_up"]) == [("0", 1), ("1", 0), ("2", 1)]


def test_a_page_that_is_old_half_written_or_too_long_is_not_told() -> None:
    pages, now = SharedPages(2), time.monotonic()
    pages.put(1, b"text", now)
    assert (pages.get(1, now), pages.get(0, now), pages.get(1, now + STALE_S + 1)) == (b"text", None, None)
    pages._memory[PAGE_BYTES + 20] ^= 1
    assert pages.get(1, now) is None
    with pytest.raises(ValueError, match="more than"):
        pages.put(0, b"".join(bytes([number * 7919 % 251, number % 256, number // 256 % 256]) for number in range(2**20)), now)


async def test_nothing_is_measured_or_told_where_nobody_asked_for_it(tmp_path: Path) -> None:
    async with teller(tmp_path / "data", operations_port=free_port()) as asked:
        assert asked.gateway.prometheus is None
        assert isinstance(asked.gateway.instruments[1], NoOpMeterProvider)
        transport = httpx.ASGITransport(operations_application(asked.gateway, people_of(asked.gateway)))
        async with httpx.AsyncClient(transport=transport, base_url="http://operations") as client:
            assert (await client.get("/metrics")).status_code == 404
