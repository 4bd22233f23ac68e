"""Which library an object comes from."""

from collections import Counter

import pandas as pd
import polars as pl
import pytest

from skfactor._libraries import is_polars, library_of


@pytest.mark.parametrize("thing", [pl.DataFrame(), pl.Series([1]), pl.LazyFrame()])
def test_everything_of_polars_is_polars(thing):
    assert is_polars(thing)


@pytest.mark.parametrize("thing", [pd.DataFrame(), pd.Series([1]), [pl.Series([1])], None])
def test_nothing_else_is_polars(thing):
    assert not is_polars(thing)


def test_a_package_whose_name_begins_like_polars_is_another():
    stranger = type("Frame", (), {"__module__": "polars_business.frame"})()
    assert not is_polars(stranger)
    assert library_of(stranger) == "polars_business"


def test_the_package_is_named_without_its_modules():
    assert library_of(pd.DataFrame()) == "pandas"
    assert library_of(Counter()) == "collections"
    assert library_of(1) == "builtins"
