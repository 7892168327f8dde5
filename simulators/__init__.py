"""Toy latent MDPs whose answers are known, and random families of constrained MDPs.

The models are in `simulators.latent` and `simulators.garnet`. Nothing is imported here, so that
``ig-theory --help``, which loads `simulators.cli`, needs no NumPy.
"""
