"""The HTTP side: it listens, checks who asks, calls the operation and writes its answer."""
