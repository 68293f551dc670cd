"""What every answer of a page says to the browser: nothing from elsewhere, no frame, nothing kept, nothing told to other origins."""

TRUSTED_TYPES = "require-trusted-types-for 'script'; trusted-types 'none'"
"""No text ever becomes a script: for pages whose scripts are all our own."""


def page_headers(form_action: str, further: str = TRUSTED_TYPES, *, creates_passkeys: bool = False) -> dict[str, str]:
    """Headers of a page whose forms go to `form_action`, a source of the content security policy. `further`: its last directives.

    `creates_passkeys`: on development mode's page for that alone.
    """
    creating = "(self)" if creates_passkeys else "()"
    return {
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        f"form-action {form_action}; frame-ancestors 'none'; base-uri 'none'; {further}",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": f"publickey-credentials-get=(self), publickey-credentials-create={creating}, camera=(), microphone=(), "
        "geolocation=(), payment=(), usb=(), clipboard-read=(), display-capture=(), fullscreen=()",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
