"""Everything that touches the world: NATS, the engine, runners, the client facade, the command line."""

if __name__ != "jobledger.adapters":
    raise ImportError("import jobledger.adapters, not adapters")
