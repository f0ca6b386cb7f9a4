"""The search for laws and for single terms: forms of expressions, engines, sets of terms, a second look."""
