"""Neural terms and data -> equations: candidate terms, candidate laws, one judge on the trajectories.

`search_term` looks for the expression of any sampled function by itself.
"""

from typing import TYPE_CHECKING

from jaxllc.lazy_names import lazy_names

if TYPE_CHECKING:
    from jaxllc.search.forms.grammar import Grammar
    from jaxllc.search.forms.term_samples import Samples
    from jaxllc.search.term.term_search import Candidate, TermSearch, search_term

_HOMES = {
    "Candidate": "jaxllc.search.term.term_search",
    "Grammar": "jaxllc.search.forms.grammar",
    "Samples": "jaxllc.search.forms.term_samples",
    "TermSearch": "jaxllc.search.term.term_search",
    "search_term": "jaxllc.search.term.term_search",
}

__all__ = [
    "Candidate",
    "Grammar",
    "Samples",
    "TermSearch",
    "search_term",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
