"""The pure heart: what can happen to a job, and what may be decided about it. No I/O, no clock, no randomness."""

if __name__ != "jobledger.core":
    raise ImportError("import jobledger.core, not core")
