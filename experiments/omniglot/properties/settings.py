"""Which property of the data takes which values, one at a time."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

import icl_lab as lab
from experiments.omniglot.config import OmniglotConfig

Property = Literal["p_bursty", "classes", "labels_per_class", "variation", "zipf_exponent"]
PROPERTIES: tuple[Property, ...] = get_args(Property)


class PropertyValue(NamedTuple):
    """One value of a property.

    Attributes:
      value: as it stands beneath the figure.
      changes: what it changes of ``data`` in the configuration that all have in common.
    """

    value: str
    changes: dict[str, Any]


# Chan et al. (2022), figures 2, 3, 4, 5 and 6, in this order.
SETTINGS: dict[Property, tuple[PropertyValue, ...]] = {
    "p_bursty": tuple(PropertyValue(f"{p:g}", {"p_bursty": p}) for p in (0.0, 0.5, 0.9, 1.0)),
    "classes": tuple(PropertyValue(f"{n:,}", {"rare": n}) for n in (100, 400, 1_600)),
    "labels_per_class": tuple(PropertyValue(str(n), {"labels_per_class": n}) for n in (1, 2, 4)),
    "variation": (
        PropertyValue("one", {"exemplars": "single"}),
        PropertyValue("noise 0.1", {"exemplars": "single", "noise": 0.1}),
        PropertyValue("noise 0.5", {"exemplars": "single", "noise": 0.5}),
        PropertyValue("all", {}),
    ),
    "zipf_exponent": (
        PropertyValue("0", {}),
        *(PropertyValue(f"{x:g}", {"zipf_exponent": x, "common": 10}) for x in (0.5, 1.0, 1.5, 2.0)),
    ),
}


def named_settings(config: OmniglotConfig) -> Mapping[str, lab.Setting]:
    """Return the settings by property and value, such as "p_bursty=0.5"; several may come to the same.

    Raises:
      ValueError: what all have in common leaves a property without its values.
    """
    if config.data.rare is None or config.data.common:
        raise ValueError("Properties want data.rare, the number of trained classes, and no data.common.")
    return {f"{name}={each.value}": setting_of(config, each) for name in PROPERTIES for each in SETTINGS[name]}


def setting_of(config: OmniglotConfig, setting: PropertyValue) -> dict[str, Any]:
    """Return the options that a setting changes; settings that come to the same have the same."""
    changes = {name: value for name, value in setting.changes.items() if getattr(config.data, name) != value}
    if "common" in changes:  # among as many classes as before
        changes["rare"] = (config.data.rare or 0) - changes["common"]
    return {f"data.{name}": value for name, value in changes.items()}
