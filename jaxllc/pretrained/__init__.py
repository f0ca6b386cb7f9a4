"""A learned proposer of expressions, trained on random formulas, that writes skeletons for samples of a term.

The form it writes in is told in `skeletons.alphabet` and `skeletons.canonical_form`; `training.corpus` draws
what it is trained on; `descriptors` and `model` read samples and write skeletons; `training.train` trains;
`engine` makes expressions of them, `local_search` looks beside them; `shipped` reads the weights that
come with jaxllc. The engine `pretrained` of the search and the preset "llc" take it from here, and import it
only when they are asked for.
"""
