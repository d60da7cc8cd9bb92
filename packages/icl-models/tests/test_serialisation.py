import dataclasses
import json

import pytest

import icl_models
from icl_models import (
    Ablate,
    Clamp,
    Concatenated,
    ConvEncoder,
    EmbeddingEncoder,
    Interleaved,
    InterleavedPoints,
    OuterProductLSTM,
    PointRegressor,
    Preserve,
    SequenceClassifier,
    SymbolModel,
    Transformer,
    from_json,
    to_json,
)

WANTED = {
    EmbeddingEncoder: {"num_items": 7},
    SequenceClassifier: {"num_labels": 5},
    PointRegressor: {"num_outputs": 2},
    SymbolModel: {"num_symbols": 5},
    Clamp: {"layer": 1, "to": "match"},
    Ablate: {"layer": 1},
    Preserve: {"layer": 1, "taps": ("query",)},
}
PARTS = {
    kind.__name__: kind(**WANTED.get(kind, {})) for kind in vars(icl_models).values() if dataclasses.is_dataclass(kind)
}
MODELS = [
    SequenceClassifier(
        num_labels=3,
        encoder=ConvEncoder(channels=(4,), kernels=(3,), strides=(2,)),
        layout=Concatenated(),
        trunk=OuterProductLSTM(hidden=5, key_size=3),
        positions="learned",
        item_dropout=0.25,
    ),
    PointRegressor(num_outputs=1, trunk=Transformer(mask="prefix", heads=2, mlp=False, num_loops=3), width=16),
    PointRegressor(
        num_outputs=1, trunk=Transformer(mask="causal_context"), layout=InterleavedPoints(), positions="learned"
    ),
    SymbolModel(num_symbols=3, positions="none"),
]


def changed(part):
    """Return the part with another value in each field of numbers, so that no default stands in for what is lost."""
    return dataclasses.replace(
        part,
        **{
            field.name: value + 1 if type(value) is int else not value
            for field in dataclasses.fields(part)
            if type(value := getattr(part, field.name)) in (int, bool)
        },
    )


@pytest.mark.parametrize("name", PARTS)
def test_every_dataclass_of_the_package_makes_the_way_through_json_and_back(name):
    for part in (PARTS[name], changed(PARTS[name])):
        values = json.loads(json.dumps(to_json(part)))
        assert values["type"] == name
        assert from_json(values) == part and type(from_json(values)) is type(part)
        assert hash(from_json(values)) == hash(part)  # lists have become tuples


@pytest.mark.parametrize("model", MODELS, ids=["classifier", "regressor", "causal regressor", "symbols"])
def test_so_do_models_of_chosen_parts(model):
    assert from_json(json.loads(json.dumps(to_json(model)))) == model


def test_what_was_left_out_has_its_default():
    assert from_json({"type": "SequenceClassifier", "num_labels": 3}) == SequenceClassifier(num_labels=3)


@dataclasses.dataclass(frozen=True)
class Mine:
    """A trunk of a user's own."""

    sizes: tuple[int, ...] = (3, 4)
    inner: object = Interleaved()


def test_classes_of_ones_own_are_built_when_given():
    values = json.loads(json.dumps(to_json(Mine((5,)))))
    assert values == {"type": "Mine", "sizes": [5], "inner": {"type": "Interleaved"}}
    assert from_json(values, types=[Mine]) == Mine((5,))
    with pytest.raises(ValueError, match=r"one of Ablate, .* got 'Mine'; classes of your own go into types="):
        from_json(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"type": "os.system", "command": "true"}, "must be one of .*PointRegressor.* got 'os.system'"),
        ({"type": "SequenceClassifier", "num_labels": 3, "trunk": {"layers": 2}}, "got None"),
        ({"type": "LSTM", "hidden": 0}, "There is no LSTM of {'hidden': 0}: .*at least 1"),
        ({"type": "LSTM", "units": 5}, "There is no LSTM of .*unexpected keyword argument 'units'"),
        ({"type": "EmbeddingEncoder"}, "There is no EmbeddingEncoder .*missing .* argument: 'num_items'"),
        ({"type": "LSTM", "hidden": "many"}, "There is no LSTM of"),
    ],
)
def test_other_values_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        from_json(values)


@pytest.mark.parametrize("model", [{"type": "LSTM"}, SequenceClassifier, Mine(object()), Mine({"a": 1})])
def test_what_is_no_dataclass_of_plain_values_is_refused(model):
    with pytest.raises(ValueError, match="wants a dataclass such as"):
        to_json(model)
