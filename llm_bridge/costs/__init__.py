"""What a token costs: word lists, callables, scores turned into step costs, a probe on latents.

Import from the modules; this package holds no names, so that the command line stays fast.
"""
