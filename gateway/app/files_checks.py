"""What is wrong with the settings of files: by themselves, and on this host."""

import re
from collections.abc import Iterator

from gateway.app.data_folder import open_to_others
from gateway.app.settings import Settings
from gateway.app.unsafe_settings import FindingCode, SettingFinding

_Findings = Iterator[SettingFinding]

BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9._/-]*))?")
"""Name and prefix; the name as Amazon's rules for buckets have it."""

MODEL_MOST = 200
"""Characters of the name of a model."""


def files_findings(settings: Settings) -> _Findings:
    """Of the settings by themselves."""
    if settings.file_scan_command and settings.file_scan_clamd:
        yield SettingFinding("file_scan_clamd", FindingCode.CONFLICT, "stands beside file_scan_command", "leave one of them out")
    if settings.files_bucket and not BUCKET.fullmatch(settings.files_bucket):
        yield SettingFinding(
            "files_bucket", FindingCode.MALFORMED, "is no s3://BUCKET/PREFIX", "name a bucket, and a prefix if there is one"
        )
    for name in ("files_endpoint", "files_credential_file"):
        if getattr(settings, name) and not settings.files_bucket:
            yield SettingFinding(name, FindingCode.CONFLICT, "stands without files_bucket", "name the bucket, or leave it out")
    if settings.embeddings_url and not settings.embeddings_model:
        yield SettingFinding("embeddings_model", FindingCode.MISSING, "is not set, though embeddings_url is", "name the model")
    if len(settings.embeddings_model) > MODEL_MOST or not settings.embeddings_model.isprintable():
        yield SettingFinding(
            "embeddings_model", FindingCode.MALFORMED, "is no name of a model", f"give {MODEL_MOST} characters at most"
        )
    for name in ("embeddings_model", "embeddings_credential_file"):
        if getattr(settings, name) and not settings.embeddings_url:
            yield SettingFinding(name, FindingCode.CONFLICT, "stands without embeddings_url", "name the server, or leave it out")


def contents_findings(settings: Settings) -> _Findings:
    """Of the folder in which contents are kept."""
    folder = settings.files_folder
    if folder is None or settings.files_bucket:
        return
    if not folder.is_dir():
        problem = f"names {folder}, which is no folder that is there"
        yield SettingFinding("files_folder", FindingCode.MISSING, problem, "make it, with mode 700")
    elif (wrong := open_to_others(folder)) is not None:
        yield SettingFinding(
            "files_folder", FindingCode.OPEN_TO_OTHERS, f"names {folder}, which {wrong}", "chmod 700 it, for our user"
        )
