"""Tapes: the one compiled form of expressions, a list of instructions.

Written by `instructions` (how), `law_tapes` (laws) and `fitted_tapes` (expressions whose constants are
fitted); run by `unrolled` and `interpreted`.
"""
