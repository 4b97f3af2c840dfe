// Loaded by node before Azurite: refuses the requests of pages in a browser, as the Batch emulator
// does (batch/server/hosts.py). Azurite checks neither the Host nor the Origin, and its account
// key is public.
"use strict";

const http = require("node:http");

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
