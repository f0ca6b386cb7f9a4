"""A study whose weights are given, not trained: what figures and statistics say of it is known."""

from types import SimpleNamespace

import numpy as np

from jaxllc.self_pruning import separation
from jaxllc.self_pruning.study_model import StudyModel


def planted_model(prior, spurious, *, signs=None, held_out=True, penalties=None, seed=0):
    """A model with these weights of prior and of spurious edges, (E,) or (S, E), in this order.

    signs: of all edges, by default 1 for those of the prior network and unknown for spurious ones.
    """
    prior, spurious = (np.atleast_2d(np.asarray(x, float)) for x in (prior, spurious))
    times = np.arange(len(prior))
    mask = np.arange(prior.shape[1] + spurious.shape[1]) >= prior.shape[1]
    mse = 0.3 * np.exp(-times / 2) * (1 + 0.1 * seed)
    snapshots = SimpleNamespace(
        epochs=10 * times,
        weights=np.concatenate([prior, spurious], axis=1),
        signs=np.where(mask, 0, 1) if signs is None else np.asarray(signs),
        mse=mse,
        held_out_mse=2 * mse if held_out else np.full(len(times), np.nan),
    )
    return StudyModel(penalties or {"l2": 1e-5}, seed, snapshots, mask)


class PlantedStudy:
    """What separation and figures ask of a SelfPruningStudy, of models that are given."""

    def __init__(self, models):
        self.all = list(models)
        each = {tuple(model.penalties.items()): model.penalties for model in self.all}
        self.groups = [each[key] for key in sorted(each)]

    def models(self, group=None):
        for model in self.all:
            if group is None or model.penalties == group:
                yield model

    def count(self, group=None):
        return len([*self.models(group)])

    @property
    def over_training(self):
        return separation.over_training(self)

    @property
    def separation(self):
        return separation.at_the_end(self)


def random_study(penalties, seeds=3, times=5, prior=40, spurious=10, held_out=True, unknown=0.25):
    """A study of random weights, of which spurious ones fade; some weights are exactly 0."""
    models = []
    for number, own in enumerate(penalties):
        for seed in range(seeds):
            random = np.random.default_rng([number, seed])
            of_prior = random.lognormal(-2, 1, (times, prior)) * random.choice([-1, 1], prior)
            fading = np.linspace(0, 1 + number, times)[:, None]
            of_spurious = random.lognormal(-2, 1, (times, spurious)) * np.exp(-fading)
            of_prior[:, 0] = 0
            signs = np.append(np.where(np.arange(prior) < unknown * prior, 0, 1), [0] * spurious)
            models.append(
                planted_model(
                    of_prior, of_spurious, signs=signs, held_out=held_out, penalties=own, seed=seed
                )
            )
    return PlantedStudy(models)
