"""Solvers: one file a question, each with two-sided or exact answers."""
