"""The alarms of the gateway, and the chores that may fail. Their form is that of `adapters.alarms`. Pure."""

import logging
from enum import StrEnum

from adapters.alarms import AlarmForm, DeclaredAlarm


class Alarm(DeclaredAlarm):
    """What whoever is on call must know. Closed: an alarm without a section in the runbook does not pass the tests."""

    CALL_NOT_IN_LOG = AlarmForm("call_not_in_log", logging.ERROR, ("call_id",))
    CHORE_FAILED = AlarmForm("chore_failed", logging.WARNING, ("chore", "cause"))
    DEFECT = AlarmForm("defect", logging.ERROR, ("error", "at", "request_id"))
    DEPENDENCY_UNAVAILABLE = AlarmForm("dependency_unavailable", logging.WARNING, ("dependency", "request_id"))
    DESCRIPTORS_FEW = AlarmForm("descriptors_few", logging.WARNING, ("most", "needed"))
    EMBEDDINGS_NOT_ANSWERED = AlarmForm("embeddings_not_answered", logging.WARNING, ("why",))
    FRONT_REFUSED = AlarmForm("front_refused", logging.WARNING, ("connections", "requests"))
    INTROSPECTION_NOT_ANSWERED = AlarmForm("introspection_not_answered", logging.ERROR, ("why",))
    ISSUER_KEY_REFUSED = AlarmForm("issuer_key_refused", logging.ERROR, ("why",))
    ISSUER_KEYS_NOT_FETCHED = AlarmForm("issuer_keys_not_fetched", logging.ERROR, ("why", "held_s"))
    KILL_SWITCH_NOT_RECORDED = AlarmForm("kill_switch_not_recorded", logging.ERROR, ("id",))
    LOG_NOT_AS_SIGNED = AlarmForm("log_not_as_signed", logging.ERROR, ("what", "index", "further"))
    LOG_NOT_VERIFIED = AlarmForm("log_not_verified", logging.WARNING, ("since_s",))
    MANDATE_NOT_AS_SIGNED = AlarmForm("mandate_not_as_signed", logging.ERROR)
    MODEL_FAILED = AlarmForm("model_failed", logging.WARNING, ("code", "why", "run"))
    MODEL_REFUSED = AlarmForm("model_refused", logging.WARNING, ("status",))
    POLICIES_REFUSED = AlarmForm("policies_refused", logging.ERROR, ("version", "why"))
    PROPOSAL_CHANGED = AlarmForm("proposal_changed", logging.ERROR)
    RUN_OUTCOME_UNKNOWN = AlarmForm("run_outcome_unknown", logging.WARNING, ("call_id",))
    RUN_WAITS = AlarmForm("run_waits", logging.WARNING, ("cause",))
    SCREENING_LIST_UNREADABLE = AlarmForm("screening_list_unreadable", logging.ERROR)
    STARTED_WITHOUT_CORE = AlarmForm("started_without_core", logging.WARNING)
    STREAM_BEHIND = AlarmForm("stream_behind", logging.WARNING, ("stream", "records", "age_s", "cause"))
    STREAM_REFUSED = AlarmForm("stream_refused", logging.ERROR, ("stream", "record", "cause"))
    TIMESTAMPS_FAIL = AlarmForm("timestamps_fail", logging.WARNING, ("authority", "failure", "why"))
    WEBHOOK_NOT_DELIVERED = AlarmForm("webhook_not_delivered", logging.WARNING, ("id", "tries", "cause"))
    WITNESS_CONTRADICTS = AlarmForm("witness_contradicts", logging.ERROR, ("witness", "why", "size", "held"))
    WITNESS_REFUSES = AlarmForm("witness_refuses", logging.ERROR, ("witness", "why"))
    WITNESS_SILENT = AlarmForm("witness_silent", logging.WARNING, ("witness", "why"))
    WITNESSES_FEW = AlarmForm("witnesses_few", logging.WARNING, ("cosigned", "needed"))
    WORKER_DIED = AlarmForm("worker_died", logging.ERROR, ("status",))


class Chore(StrEnum):
    """What is done in the background, again and again. One that fails is the alarm `chore_failed`, and has its next turn."""

    PUBLISH = "publish"
    WITNESSES = "witnesses"
    TIMESTAMPS = "timestamps"
    VERIFICATION = "verification"
    AUDITORS_INDEX = "auditors_index"
    STREAMS = "streams"
    SWEEP = "sweep"
    LATE = "late"
    UNRECORDED = "unrecorded"
    CENSUS = "census"
    CONFIRMED = "confirmed"
    POLICIES = "policies"
    WEBHOOKS = "webhooks"
    PROOFS_SWEEP = "proofs_sweep"
    RATES = "rates"
    KEYS = "keys"
    ROWS_SWEEP = "rows_sweep"
    FILES_SWEEP = "files_sweep"
    FILES_INDEX = "files_index"
    CODE_SESSIONS = "code_sessions"
    SCHEDULED_PAYMENTS = "scheduled_payments"
