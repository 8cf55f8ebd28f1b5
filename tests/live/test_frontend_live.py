"""Front ends against their reference implementations, run side by side at several levels.

Each case is skipped where its reference cannot be imported; tests/golden/make_frontend.py says what it needs.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soundalike.frontend import log_mel
from soundalike.models.frontends import FRONT_ENDS

MAKER = Path(__file__).parents[1] / "golden" / "make_frontend.py"
REFERENCES: dict[str, Any] = runpy.run_path(str(MAKER))["REFERENCES"]


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")  # the references' own
@pytest.mark.parametrize("level", [1.0, 0.01])
@pytest.mark.parametrize("name", REFERENCES)
def test_agrees_with_the_reference_on_all_frames(name: str, level: float) -> None:
    reference = REFERENCES[name]
    samples = reference.signal() * np.float32(level)
    try:
        expected = reference.front_end(samples)
    except ImportError as error:
        pytest.skip(f"{name}: {error}")
    mel = log_mel(samples, FRONT_ENDS[name])
    assert mel.shape == expected.shape
    difference = np.abs(mel.astype(np.float64) - expected)
    print(f"{name} at {level:g}: max {difference.max():.1e}, mean {difference.mean():.1e}")
    assert difference.max() < reference.tolerance
