"""What the log says, folded for reading. Each can be deleted and rebuilt from position 0."""

if __name__ != "jobledger.projections":
    raise ImportError("import jobledger.projections, not projections")
