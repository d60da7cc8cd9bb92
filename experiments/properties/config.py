"""The configuration of properties: which property of the data takes which values."""

import dataclasses
from typing import Any, Literal, NamedTuple, get_args

import icl_lab as lab
from experiments.omniglot.config import OmniglotConfig, OmniglotVaryConfig
from experiments.omniglot.presets import PRESETS as OMNIGLOT

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
    "labels_per_class": tuple(PropertyValue(str(n), {"labels_per_class": n}) for n in (1, 4)),
    "variation": (
        PropertyValue("one", {"exemplars": "single"}),
        PropertyValue("noise 0.1", {"exemplars": "single", "noise": 0.1}),
        PropertyValue("noise 0.5", {"exemplars": "single", "noise": 0.5}),
        PropertyValue("all", {}),
    ),
    "zipf_exponent": (
        PropertyValue("0", {}),
        PropertyValue("1", {"zipf_exponent": 1.0, "common": 10}),
        PropertyValue("2", {"zipf_exponent": 2.0, "common": 10}),
    ),
}


VARIED = tuple({f"data.{name}" for settings in SETTINGS.values() for each in settings for name in each.changes})
"""Options in which the runs of a folder may differ."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PropertiesConfig(OmniglotConfig):
    """Runs of omniglot; what the property does not vary is as here, and of `OmniglotConfig`.

    Attributes:
      properties: Which properties to vary, one at a time.
      seeds: Runs of each setting, with seeds from train.seed on.
    """

    properties: tuple[Property, ...] = PROPERTIES
    seeds: int = 2

    def __post_init__(self) -> None:
        """Refuse what the settings decide."""
        super().__post_init__()
        if self.seeds < 1 or not self.properties or len(set(self.properties)) < len(self.properties):
            raise ValueError(f"Wanted seeds of at least 1 and each property once, got {self.seeds}, {self.properties}.")
        if self.train.ensemble.members != 1 or self.init_from is not None or self.vary != OmniglotVaryConfig():
            raise ValueError("train.ensemble.members, vary and init_from are not for properties; see --seeds.")
        if self.data.rare is None or self.data.common:
            raise ValueError("Properties want data.rare, the number of trained classes, and no data.common.")
        if self.mode != "both":
            raise ValueError("Properties are trained and evaluated in one go; leave --mode out.")

    def setting_of(self, setting: PropertyValue) -> dict[str, Any]:
        """Return the options that a setting changes; settings that come to the same have the same."""
        changes = {name: value for name, value in setting.changes.items() if getattr(self.data, name) != value}
        if "common" in changes:  # among as many classes as before
            changes["rare"] = (self.data.rare or 0) - changes["common"]
        return {f"data.{name}": value for name, value in changes.items()}

    def sweep(self) -> lab.Sweep[OmniglotConfig]:
        """Return the runs: the seeds of a setting are trained together."""
        settings = [self.setting_of(setting) for name in self.properties for setting in SETTINGS[name]]
        base = lab.as_type(self, OmniglotConfig, report=False, preset=None)
        return lab.Sweep(base=base, settings=tuple(settings), seeds=self.seeds, same_program=frozenset({"train.seed"}))


_BASE = OMNIGLOT["laptop"]
# The encoder and the steps that docs/properties.md is of.
_LAPTOP = lab.as_type(
    _BASE,
    PropertiesConfig,
    data=dataclasses.replace(_BASE.data, p_bursty=0.9, rare=1_600),
    model=dataclasses.replace(_BASE.model, channels=(32, 64, 64)),
    train=dataclasses.replace(_BASE.train, steps=3_200),
    eval=dataclasses.replace(
        _BASE.eval,
        every=400,
        final_count=4_000,
        extra_with_zipf=("no_support_common", "no_support_rare"),
        extra_at_end=(),
        heads_count=0,
        ablation_count=0,
    ),
)

PRESETS = {"laptop": _LAPTOP}
