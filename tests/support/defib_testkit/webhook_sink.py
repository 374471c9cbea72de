"""A web server that takes webhooks and keeps them."""

import ssl

from defib_testkit.http_double import HttpDouble, Request, Response


class WebhookSink(HttpDouble):
    """Records every request in ``requests``: method, target, headers and the raw body, whatever the mode.

    | mode | the sender sees |
    |---|---|
    | ok | ``status`` (204 unless changed), with ``body`` |
    | error500 | 500 |
    | hang | no answer |
    | dead | connection refused |
    """

    MODES = ("ok", "error500", "hang", "dead")

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.status = 204
        self.body = b""
        self.headers: dict[str, str] = {}  # sent in mode ok: a Location, a Retry-After
        super().__init__(tls)

    @property
    def url(self) -> str:
        return f"{self.origin}/hook"

    async def _respond(self, request: Request) -> Response | None:
        match self._next_mode():
            case "hang":
                return None
            case "error500":
                return Response(status=500, body=b"the sink is in mode error500\n")
            case _:
                return Response(status=self.status, body=self.body, headers=self.headers)
