"""The command line: options, terminal, tables; it is given the flow that it starts."""
