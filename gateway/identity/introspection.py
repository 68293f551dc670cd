"""Whether a token still stands, asked of its issuer (RFC 7662) by our own client credentials. Never cached."""

import logging
from dataclasses import dataclass, field

from gateway.domain.alarms import Alarm
from gateway.domain.errors import Unavailable
from gateway.domain.principal import Principal
from gateway.identity.fetching import Fetcher, NoAnswer, basic_credentials

_LOG = logging.getLogger("tellergate.identity")


@dataclass(frozen=True, slots=True)
class Introspection:
    """Asks `endpoint` as the client `client_id`, by HTTP Basic (RFC 6749 section 2.3.1)."""

    fetcher: Fetcher
    endpoint: str
    client_id: str
    secret: str = field(repr=False)

    async def still_stands(self, principal: Principal) -> bool:
        if principal.token is None:  # a Principal that no token made: nothing to ask about, and no effect without an answer
            raise Unavailable("introspection_unavailable")
        form = {"token": principal.token, "token_type_hint": "access_token"}
        try:
            told = await self.fetcher.post(self.endpoint, form, basic_credentials(self.client_id, self.secret))
        except NoAnswer as error:
            _LOG.log(*Alarm.INTROSPECTION_NOT_ANSWERED.line(why=str(error)))
            raise Unavailable("introspection_unavailable") from None
        return told.get("active") is True and told.get("sub", principal.customer) == principal.customer
