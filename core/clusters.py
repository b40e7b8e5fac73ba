"""Clusters: labels that route tasks to runners."""

from __future__ import annotations

#: where tasks run whose submitter named no cluster, and what runners serve that were given none
DEFAULT_CLUSTER = "default"
