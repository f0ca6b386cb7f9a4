"""The trained model that comes with jaxllc; MODEL_CARD.md beside it tells how it was made."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

from jaxllc.errors import InputError
from jaxllc.pretrained.engine import PretrainedEngine
from jaxllc.pretrained.model import SkeletonModel
from jaxllc.pretrained.weights import load_model

WEIGHTS = "weights.safetensors"


@lru_cache(maxsize=1)
def shipped_model() -> tuple[SkeletonModel, dict[str, Any]]:
    """The model and what its file tells of it: corpus, training, steps, seconds. Read once in a process.

    Raises InputError where the file is missing, damaged or of another version.
    """
    file = resources.files("jaxllc.pretrained").joinpath(WEIGHTS)
    with resources.as_file(file) as path:
        if not path.is_file():
            raise InputError(
                f"the weights of the engine pretrained, {path}, are missing; install jaxllc anew, or "
                "choose other engines"
            )
        return load_model(path)


@lru_cache(maxsize=1)
def shipped_engine() -> PretrainedEngine:
    """The engine of that model, compiled; raises InputError as `shipped_model` does."""
    engine = PretrainedEngine(shipped_model()[0])
    engine.prepare()
    return engine
