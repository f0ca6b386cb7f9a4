"""A pre-trained network without training, for tests of the published road."""

from flax import nnx

from jaxllc.pretrained.model import ModelSettings, SkeletonModel


def small_model():
    settings = ModelSettings(width=16, blocks=1, decoder_width=16, layers=1)
    return SkeletonModel(settings, nnx.Rngs(0))
