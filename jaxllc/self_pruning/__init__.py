"""The self-pruning study: which edges of a prior network does a signaling model let go of?"""

from jaxllc.lazy_names import lazy_names

_HOMES = {
    "EdgeScores": "scoring",
    "SelfPruningStudy": "study",
    "edge_scores": "scoring",
    "plot_distributions": "figures",
    "plot_errors": "figures",
    "plot_removal": "figures",
    "plot_scores": "score_figures",
    "plot_shares": "figures",
    "removable": "curves",
    "removal_curves": "pruned_models",
    "retrained_curves": "pruned_models",
    "self_pruning_study": "study",
    "summary_of": "curves",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
