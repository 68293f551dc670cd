"""What reads the text of files, as the settings say."""

from gateway.app.kept_settings import BUBBLEWRAP
from gateway.app.settings import Settings
from gateway.files.documents import PACKAGES, SandboxedParser
from gateway.files.parsing import Parser, PlainTextParser
from gateway.sandbox.bubblewrap import BubblewrapSandbox


def parser_of_files(settings: Settings) -> Parser:
    """Plain text is read in any case; documents where there is a sandbox for what reads them."""
    plain = PlainTextParser()
    return SandboxedParser(BubblewrapSandbox(PACKAGES), plain) if settings.sandbox == BUBBLEWRAP else plain
