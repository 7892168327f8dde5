"""Exact instances that refute a statement, or attain a bound: one file each.

Every module has ``CLAIM``, ``COVERS`` and ``run() -> Finding``, and functions that return its
numbers. Each instance is checked twice: by the plain arithmetic written out in the file, and by
the project's own solvers and verification on the same model.
"""
