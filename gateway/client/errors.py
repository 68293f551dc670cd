"""What a request of the client may end with instead of its answer. None holds a token, nor anything that was sent."""


class TellergateError(Exception):
    """The gateway refused the request as a whole.

    `status` of HTTP; `code` is stable, `message` is for people, `param` the field that is meant, if one is; `request_id` finds the request
    in the gateway's access log. `code` is `not_the_gateway` where the answer is a proxy's, a redirect, another server's.
    Of the gateway's own 4xx nothing happened.
    """

    def __init__(self, status: int, code: str, message: str, param: str | None = None, request_id: str | None = None) -> None:
        super().__init__(status, code, message, param, request_id)
        self.status, self.code, self.message, self.param, self.request_id = status, code, message, param, request_id

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}" + (f" (request {self.request_id})" if self.request_id else "")


class TellergateUnreachable(Exception):
    """There was no whole answer. `may_have_happened` is false where the request was certainly never sent. Where it is true, the same
    function calls under the same ids are safe to ask again; of anything else read first what became of it."""

    def __init__(self, cause: str, *, may_have_happened: bool) -> None:
        known = "it may have happened" if may_have_happened else "nothing was sent"
        super().__init__(f"the gateway did not answer ({cause}); {known}")
        self.cause, self.may_have_happened = cause, may_have_happened
