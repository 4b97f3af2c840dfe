"""How the service writes things: formats, errors and failures on the wire."""
