"""What a configuration yields: numbers, text and pictures for ``python -m icl_data``."""

from icl_data.inspection.contact_sheet import Layout, contact_sheet
from icl_data.inspection.statistics import Statistics, expected_shares, statistics
from icl_data.inspection.text import drawn, frequency_text, repeat_text, sequence_text

__all__ = [
    "Layout",
    "Statistics",
    "contact_sheet",
    "drawn",
    "expected_shares",
    "frequency_text",
    "repeat_text",
    "sequence_text",
    "statistics",
]
