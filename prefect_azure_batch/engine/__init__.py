"""One run from the plan to the result: what the other folders do, in its order."""
