"""What makes no other run is the same to the sweep that plans runs and to the table that tells their settings apart."""

from icl_eval.sweeps.sweep_runs import _BOOKKEEPING
from icl_lab.sweeps.plan import _FREE


def test_a_sweep_and_its_table_agree_on_what_makes_another_run():
    assert set(_FREE) == set(_BOOKKEEPING) - {"vary"}  # of an ensemble that is no sweep's
