"""The theorems: every claim with how it is checked, by machine where it can be."""

from proofs_check.claim import Check, Claim, Finding, Method, Status

__all__ = ["Check", "Claim", "Finding", "Method", "Status"]
