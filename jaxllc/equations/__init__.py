"""Expressions and equations: functions, text, calculus, and normal forms."""
