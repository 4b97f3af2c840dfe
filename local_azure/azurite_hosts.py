"""What is in front of Azurite, which checks neither Host nor Origin and has a public key.

Node loads a program of ours before Azurite; it refuses the requests of pages in a browser, as the
Batch emulator does (`batch/server/hosts.py`).
"""

import base64
from collections.abc import Mapping, Sequence

_PROGRAM = r"""
import http from "node:http";

const HOST = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+?))\.?(?::\d*)?$/;
const LOOPBACK = /^(?:localhost|[a-z0-9_.-]+\.localhost|127\.\d+\.\d+\.\d+|::1)$/;
const CHECKED = new Set(["request", "checkContinue", "checkExpectation"]);

function nameIn(host) {
  const found = HOST.exec(host.trim().toLowerCase());
  return found && (found[1] || found[2]);
}

const allowed = new Set(
  (process.env.LOCAL_AZURE_ALLOWED_HOSTS || "").split(",").map(nameIn).filter(Boolean),
);

function reasonAgainst(headers) {
  if (headers.origin !== undefined) {
    return "Pages in a browser are not answered: the request has an Origin.";
  }
  const name = nameIn(headers.host || "");
  if (name && (LOOPBACK.test(name) || allowed.has(name))) {
    return null;
  }
  return "It is not called by this name; if clients need it, start it with --allow-host NAME.";
}

function refuse(request, response, reason) {
  request.resume();
  response.writeHead(403, {
    "content-type": "application/xml",
    "x-ms-error-code": "AuthorizationFailure",
    connection: "close",
  });
  const error = `<Error><Code>AuthorizationFailure</Code><Message>${reason}</Message></Error>`;
  response.end(`<?xml version="1.0" encoding="utf-8"?>${error}`);
}

const emit = http.Server.prototype.emit;
http.Server.prototype.emit = function (event, request, response, ...rest) {
  const reason = CHECKED.has(event) ? reasonAgainst(request.headers) : null;
  if (reason === null) {
    return emit.call(this, event, request, response, ...rest);
  }
  refuse(request, response, reason);
  return true;
};
"""


def guarding(environment: Mapping[str, str], hosts: Sequence[str]) -> dict[str, str]:
    """Return an environment in which node loads the program before what it is asked to run.

    Args:
        environment: the variables to add to.
        hosts: names by which clients may call Azurite, beside those of loopback.
    """
    program = base64.b64encode(_PROGRAM.encode()).decode()
    given = environment.get("NODE_OPTIONS", "")
    options = f"{given} --import=data:text/javascript;base64,{program}".lstrip()
    return {**environment, "NODE_OPTIONS": options, "LOCAL_AZURE_ALLOWED_HOSTS": ",".join(hosts)}
