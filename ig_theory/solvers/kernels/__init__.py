"""Compiled loops of the solvers, and nothing else."""
