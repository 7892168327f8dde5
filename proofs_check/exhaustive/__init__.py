"""Claims checked on every member of a finite class of models, against brute force.

`members` builds the classes, `game` is the brute force: trees of histories, walked without any
solver, in exact integers. The other modules check one group of claims each: ``COVERS`` states the
class and its size, ``run(every=1)`` checks all of it, or each `every`-th member. Each also asks
the project's own code about the same members, as one model in which they lie side by side.
"""
