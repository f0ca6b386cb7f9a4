"""JSON files and laws that are damaged or made to do harm end in one sentence, at once."""

import json

import numpy as np
import pytest

from jaxllc.files.json_text import parse_json, read_json
from jaxllc.law.law import load_law as read_law
from jaxllc.signaling import SignalingSettings
from jaxllc.sweeps import read_records
from tests.refusals import MEND, sentence

# --- JSON -------------------------------------------------------------------------------------------

NO_JSON = {
    "nothing": b"",
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "deep and closed": b"[" * 200 + b"]" * 200,
    "many digits": b'{"a": ' + b"9" * 400 + b"}",
    "very many digits": b'{"a": ' + b"9" * 100_000 + b"}",
    "large exponent": b'{"a": 1e999}',
    "not a number": b'{"a": NaN}',
    "infinity": b'[-Infinity]',
    "twice": b'{"a": 1, "a": 2}',
    "no UTF-8": b'{"a": "\xff"}',
    "half a pair": b'{"a": "\\ud800"}',
    "half a pair in a name": b'{"\\udfff": 1}',
    "zeros": b"\0" * 50,
    "cut": b'{"a": 1',
    "more behind": b"{} {}",
}  # fmt: skip


@pytest.mark.parametrize("content", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_json_is_refused_by_every_reader(content, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert "a.json" in sentence(read_json, path, MEND)
    sentence(read_law, path)
    sentence(SignalingSettings.read, path)
    path.write_bytes(content + b"\n")
    sentence(read_records, path)
    assert path.read_bytes() == content + b"\n"


def test_json_is_read_as_others_read_it(tmp_path):
    value = {"a": [1, -2.5e-3, None, True, "ü \N{GRINNING FACE}"], "b": {"c": 10**30}}
    for ascii_only in (True, False):
        assert parse_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value
    (tmp_path / "bom.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(tmp_path / "bom.json", MEND) == [1]
    sentence(read_json, tmp_path / "none.json", MEND)
    assert "larger than 2 bytes" in sentence(read_json, tmp_path / "bom.json", MEND, 2)
    sentence(read_json, tmp_path, MEND)
    assert "larger than" in sentence(read_json, "/dev/zero", MEND)


# --- laws -------------------------------------------------------------------------------------------


def constant(**changes):
    row = {"variable": "x", "side": "self", "term": "x_i", "role": "coefficient", "value": -1.0}
    return {**row, "standard_error": 0.1, "unit": "", **changes}


FRONT = {"num_constants": 1, "chi_squared": 1.0, "criterion": 1.0, "held_out_error": None}
INCONSISTENT = {
    "variable of a constant": {"constants": [constant(variable="y")]},
    "side": {"constants": [constant(side="evil")]},
    "symbol of a constant": {"constants": [constant(term="q_i*x_i")]},
    "sender in a self term": {"constants": [constant(term="x_j")]},
    "constant without a value": {"constants": [constant(value=None)]},
    "value that is text": {"constants": [constant(value="1")]},
    "negative error": {"constants": [constant(standard_error=-1.0)]},
    "shape of the covariance": {"covariance": [[1.0, 0.0]]},
    "flat covariance": {"covariance": [1.0]},
    "covariance of others": {"covariance": [[1.0, 0.0], [0.0, 1.0]]},
    "negative variance": {"covariance": [[-1.0]]},
    "skew covariance": {
        "constants": [constant(), constant(term="x_i**2")],
        "covariance": [[1.0, 0.5], [-0.5, 1.0]],
    },
    "noise of another": {"noise": {"y": 1.0}},
    "R2 of another": {"adjusted_r2": {"": 1.0}},
    "feature named as a variable": {"feature_names": ["x"]},
    "front of others": {"front": [{**FRONT, "equations": {"y": ["0", "0"]}, "chosen": True}]},
    "front of fewer": {"front": [{**FRONT, "equations": {}, "chosen": True}]},
    "symbols of the front": {
        "front": [{**FRONT, "equations": {"x": ["q_i", "0"]}, "chosen": True}]
    },
    "count that is none": {
        "front": [{**FRONT, "num_constants": 1.5, "equations": {"x": ["0", "0"]}, "chosen": True}]
    },
    "flag that is none": {"converged": "yes"},
    "notes that are text": {"notes": "a"},
    "names that are text": {"feature_names": "ab"},
    "intervals": {
        "confidence": {
            "law_frequency": 1.0, "terms": [], "intervals": [], "replicates": 1, "groups": 1,
            "laws": 1,
        }
    },
    "rival of others": {
        "rivals": [
            {
                "equations": {"z": ["0", "0"]}, "num_constants": 0, "criterion_difference": 1.0,
                "frequency": 0.1,
            }
        ]
    },
}  # fmt: skip


def law_content(**changes):
    equations = {"x": {"self_term": "-x_i", "interaction_term": "x_j"}}
    content = {"format": "jaxllc law", "version": 1, "equations": equations}
    return {**content, "constants": [constant()], "covariance": [[0.01]], **changes}


@pytest.mark.parametrize("changes", INCONSISTENT.values(), ids=INCONSISTENT)
def test_a_law_whose_parts_do_not_fit_is_refused(tmp_path, changes):
    path = tmp_path / "law.json"
    path.write_text(json.dumps(law_content()))
    assert read_law(path).covariance.shape == (1, 1)
    path.write_text(json.dumps(law_content(**changes)))
    assert str(path) in sentence(read_law, path)


def test_constants_that_a_user_named_are_read(tmp_path):
    path = tmp_path / "law.json"
    row = constant(term="-delta_s*x_i", role="delta_s", standard_error=None)
    path.write_text(json.dumps(law_content(constants=[row], covariance=[[None]])))
    assert np.isnan(read_law(path).covariance).all()
