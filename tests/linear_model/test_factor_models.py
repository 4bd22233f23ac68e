"""Named models and the names of their factors."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skfactor.linear_model._models import MODELS, find_column, select_factors

COLUMNS = ["date2", "Mkt-RF", "SMB", "HML", "RMW", "CMA", "RF", "Mom   ", "LIQ"]


def names_of(factors, columns=COLUMNS):
    return [columns[i].strip() for i in select_factors(factors, columns, len(columns))]


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ("capm", ["Mkt-RF"]),
        ("ff3", ["Mkt-RF", "SMB", "HML"]),
        ("FF3", ["Mkt-RF", "SMB", "HML"]),
        ("carhart", ["Mkt-RF", "SMB", "HML", "Mom"]),
        ("ff5", ["Mkt-RF", "SMB", "HML", "RMW", "CMA"]),
        ("ff6", ["Mkt-RF", "SMB", "HML", "RMW", "CMA", "Mom"]),
        (["ff3", "LIQ"], ["Mkt-RF", "SMB", "HML", "LIQ"]),
        (["LIQ", "capm", "smb", "ff3"], ["LIQ", "Mkt-RF", "SMB", "HML"]),
        (["liq", 0, -1, np.int64(2)], ["LIQ", "date2", "SMB"]),
        (["umd"], ["Mom"]),
        ("SMB", ["SMB"]),
        (3, ["HML"]),
    ],
)
def test_models_and_names_select_columns(factors, expected):
    assert names_of(factors) == expected


@pytest.mark.parametrize(
    "columns",
    [
        ["MKT_RF", "smb", "hml", "UMD"],
        ["mkt-rf", "SMB ", "Hml", "WML"],
        ["Mkt.RF", "SMB", "HML", "mom"],
        ["market", "SMB", "HML", "momentum"],
    ],
)
def test_spelling_does_not_matter(columns):
    assert_array_equal(select_factors("carhart", columns, 4), [0, 1, 2, 3])


def test_the_nearest_spelling_wins():
    assert find_column("Mkt-RF", ["Mkt", "mkt_rf"]) == 1
    assert find_column("MOM", ["Mom", "UMD"]) == 0
    assert find_column("mom", ["Mom", "mom"]) == 1
    assert find_column("nothing", COLUMNS) is None


def test_two_columns_for_one_name_are_refused():
    with pytest.raises(ValueError, match="meant by 'MOM'; got 'UMD', 'WML'. Give the exact names"):
        find_column("MOM", ["UMD", "WML"])
    with pytest.raises(ValueError, match="meant by 'smb'; got 'SMB', 'Smb'"):
        find_column("smb", ["SMB", "Smb"])


def test_the_error_names_everything_that_is_missing():
    message = (
        r"factors=\['ff5', 'LIQ'\]; missing: RMW \(ff5\), CMA \(ff5\), LIQ. X has: Mkt, SMB, HML"
    )
    with pytest.raises(ValueError, match=message):
        select_factors(["ff5", "LIQ"], ["Mkt", "SMB", "HML"], 3)


def test_names_need_names_and_positions_need_columns():
    with pytest.raises(ValueError, match=r"factors='ff3' and an array. .* factors=\[0, 1, 2\]"):
        select_factors("ff3", None, 3)
    with pytest.raises(ValueError, match="positions below 3, the number of columns of X; got 3"):
        select_factors([3], None, 3)
    with pytest.raises(ValueError, match="at least one factor; got none"):
        select_factors([], None, 3)
    assert select_factors(None, None, 3) is None


def test_models_nest():
    assert set(MODELS["capm"]) < set(MODELS["ff3"]) < set(MODELS["carhart"]) < set(MODELS["ff6"])
    assert set(MODELS["ff3"]) < set(MODELS["ff5"]) < set(MODELS["ff6"])
