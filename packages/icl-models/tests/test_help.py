import dataclasses
import pydoc
import re

import pytest

import icl_models

CONFIGURATIONS = [part for part in map(vars(icl_models).get, icl_models.__all__) if dataclasses.is_dataclass(part)]


def explained(kind):
    """List the attributes that ``help`` explains, with the first words of what it says."""
    text = pydoc.plain(pydoc.render_doc(kind))
    section = re.search(r"\n \|  Attributes:\n(.*?)\n \| *\n", text, re.DOTALL)
    return dict(re.findall(r"^ \|    (\w+): (.+)", section[1], re.MULTILINE)) if section else {}


@pytest.mark.parametrize("kind", CONFIGURATIONS, ids=lambda kind: kind.__name__)
def test_help_explains_every_field_and_nothing_else(kind):
    explanations = explained(kind)
    assert list(explanations) == [field.name for field in dataclasses.fields(kind)]
    assert all(len(words.split()) > 1 for words in explanations.values()), explanations


def test_all_parts_of_models_are_among_them():
    assert {"SequenceClassifier", "PointRegressor", "Transformer", "LSTM", "ConvEncoder", "Interleaved"} <= {
        kind.__name__ for kind in CONFIGURATIONS
    }
