"""Checking a history: the chain of hashes, the lifecycle, and what a checkpoint vouches for. Pure; `adapters/audit` reads."""

from __future__ import annotations

from .auditing import LogAudit, Read
from .findings import AuditReport, Finding, FindingKind, Findings

__all__ = ["AuditReport", "Finding", "FindingKind", "Findings", "LogAudit", "Read"]
