"""Metrics: what engines, projectors and feeds do, as Prometheus reads it.

A process counts for itself and answers, on the subject `metrics`, with what it has counted (`answering`). Whoever wants
to know all of a namespace asks everybody at once and merges the answers (`gathering`, `exposition`). Each counts only
what it did itself, and says who it is in a label, so that sums are right with any number of them.

`catalogue` is the list of all metrics: docs/metrics.md, the dashboard and the alert rules are checked against it.
"""
