"""Decoding within a budget: InferenceGuard, its relatives, and the exact law of each on a tree.

Import from the modules; this package holds no names, so that the command line stays fast.
"""
