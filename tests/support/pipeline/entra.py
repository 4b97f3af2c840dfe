"""Entra ID as far as a sign-in sees it: one directory, one principal, and managed identities."""

import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from local_azure.batch.server.tls import Certificate
from tests.support.tokens import token

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "66666666-7777-8888-9999-000000000000"
SECRET = "secret-of-the-principal"
OBJECT = "99999999-8888-7777-6666-555555555555"


class Entra:
    """A server that issues unsigned tokens over TLS; a wrong secret gets Entra's own refusal.

    Attributes:
        asked: for what resources tokens were issued, in order.

    Args:
        certificate: of the listener.
    """

    def __init__(self, certificate: Certificate) -> None:
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.chain, certificate.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def url(self) -> str:
        """The authority host; managed identities ask `/identity`."""
        return f"https://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Serve."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def issue(self, resource: str) -> dict[str, Any]:
        """Return the answer with a token for a resource."""
        self.asked.append(resource)
        now = int(time.time())
        access = token(
            aud=resource,
            iss=f"https://sts.windows.net/{TENANT}/",
            iat=now,
            nbf=now - 60,
            tid=TENANT,
            oid=OBJECT,
        )
        return {"token_type": "Bearer", "access_token": access, "resource": resource}

    def discovery(self) -> dict[str, str]:
        """Return the directory's own description."""
        tenant = f"{self.url}/{TENANT}"
        return {
            "issuer": f"{tenant}/v2.0",
            "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
            "token_endpoint": f"{tenant}/oauth2/v2.0/token",
        }


def _handler(entra: Entra) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """The three requests of sign-ins."""

        def do_GET(self) -> None:
            """Describe the directory, or give a managed identity its token."""
            parts = urlsplit(self.path)
            if parts.path != "/identity":
                return self._answer(200, entra.discovery())
            query = parse_qs(parts.query)
            if query.get("client_id", [CLIENT]) != [CLIENT]:
                return self._answer(400, {"message": "identity not found"})
            expiry = {"expires_on": str(int(time.time()) + 3600)}
            return self._answer(200, entra.issue(query["resource"][0]) | expiry)

        def do_POST(self) -> None:
            """Give the principal its token."""
            length = int(self.headers["Content-Length"])
            form = parse_qs(self.rfile.read(length).decode())
            if (form["client_id"], form["client_secret"]) != ([CLIENT], [SECRET]):
                text = "AADSTS7000215: Invalid client secret provided."
                return self._answer(
                    401,
                    {"error": "invalid_client", "error_description": f"{text}\r\nTrace ID: 1"},
                )
            scope = next(item for item in form["scope"][0].split() if item.endswith("/.default"))
            answer = entra.issue(scope.removesuffix("/.default")) | {"expires_in": 3600}
            return self._answer(200, answer)

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler
