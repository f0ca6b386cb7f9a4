"""The self-pruning study: which edges of a prior network does a signaling model let go of?"""

from typing import TYPE_CHECKING

from jaxllc.lazy_names import lazy_names

if TYPE_CHECKING:
    from jaxllc.self_pruning.curves import removable, summary_of
    from jaxllc.self_pruning.pruned_models import removal_curves, retrained_curves
    from jaxllc.self_pruning.score_figures import plot_scores
    from jaxllc.self_pruning.scoring import EdgeScores, edge_scores
    from jaxllc.self_pruning.study import SelfPruningStudy, self_pruning_study
    from jaxllc.self_pruning.study_figures import (
        plot_distributions,
        plot_errors,
        plot_removal,
        plot_shares,
    )

_HOMES = {
    "EdgeScores": "scoring",
    "SelfPruningStudy": "study",
    "edge_scores": "scoring",
    "plot_distributions": "study_figures",
    "plot_errors": "study_figures",
    "plot_removal": "study_figures",
    "plot_scores": "score_figures",
    "plot_shares": "study_figures",
    "removable": "curves",
    "removal_curves": "pruned_models",
    "retrained_curves": "pruned_models",
    "self_pruning_study": "study",
    "summary_of": "curves",
}

__all__ = [
    "EdgeScores",
    "SelfPruningStudy",
    "edge_scores",
    "plot_distributions",
    "plot_errors",
    "plot_removal",
    "plot_scores",
    "plot_shares",
    "removable",
    "removal_curves",
    "retrained_curves",
    "self_pruning_study",
    "summary_of",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
