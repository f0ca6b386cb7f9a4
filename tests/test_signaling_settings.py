"""Settings of signaling models: checked, read back, and the presets."""

import dataclasses
import json

import pytest

from jaxllc.errors import InputError
from jaxllc.signaling.settings import PRESETS, SignalingSettings, preset

SETTINGS = SignalingSettings(epochs=600, learning_rate=1e-2, iterations=8)


def test_settings_are_checked_and_read_back(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(preset("ligand").to_dict()))
    assert SignalingSettings.read(path) == PRESETS["ligand"]
    with pytest.raises(InputError, match=r"learning_rat' .did you mean 'learning_rate'"):
        SignalingSettings.from_dict({"learning_rat": 1.0})
    for wrong in ({"epochs": 2.5}, {"batch_size": True}, {"warm_start": 1}, {"l2": "small"}):
        (name,) = wrong
        with pytest.raises(InputError, match=f"{name} is .* but it must be"):
            dataclasses.replace(SETTINGS, **wrong)
    with pytest.raises(InputError, match="epochs is '5'"):
        SignalingSettings.from_dict({"epochs": "5"})
    with pytest.raises(InputError, match="at least 1"):
        SignalingSettings(epochs=0)
    with pytest.raises(InputError, match="did you mean 'ligand'"):
        preset("ligands")
    with pytest.raises(InputError, match="leaky_relu"):
        SignalingSettings(activation="leaky_rel")


def test_the_presets_are_the_published_settings():
    macrophage, ligand, synthetic = (PRESETS[n] for n in ("macrophage", "ligand", "synthetic"))
    assert (macrophage.epochs, ligand.epochs, synthetic.epochs) == (5000, 8000, 10000)
    for settings in (macrophage, ligand, synthetic):
        assert settings.batch_size == 5
        assert settings.peak_at * settings.epochs == pytest.approx(1000)
        assert settings.reset_every == 200
    assert (macrophage.iterations, ligand.iterations, synthetic.iterations) == (100, 150, 150)
    assert (macrophage.l2, ligand.l2, synthetic.l2) == (1e-6, 1e-6, 1e-8)
    assert ligand.spread_penalty == 0
