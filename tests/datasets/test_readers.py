import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from skfactor._validation import InvalidParameterError
from skfactor.datasets import (
    SP500_STUDY_COLUMNS,
    ClusteringCrossSection,
    read_clustering_cross_section,
    read_factors,
    read_prices_wide,
)
from skfactor.datasets._readers import EXTENSION_COLUMNS, ORIGINAL_COLUMNS, PRICE_COLUMNS

READERS = [read_clustering_cross_section, read_prices_wide, read_factors]


@pytest.fixture
def table():
    """Three firms: BBB reports twice in fiscal 2015, CCC only in fiscal 2014."""
    rows = [
        ("BBB", "2016-01-31"),
        ("AAA", "2015-12-31"),
        ("AAA", "2014-12-31"),
        ("BBB", "2015-12-31"),
        ("CCC", "2014-12-31"),
    ]
    frame = pd.DataFrame(rows, columns=["Ticker Symbol", "Period Ending"])
    frame["Period Ending"] = pd.to_datetime(frame["Period Ending"])
    frame["GICS Sector"] = pd.Categorical(["Energy", "Materials", "Materials", "Energy", "Energy"])
    frame["GICS Sub Industry"] = "Something"
    for place, name in enumerate([*ORIGINAL_COLUMNS, *EXTENSION_COLUMNS, *PRICE_COLUMNS]):
        frame[name] = np.arange(5) + 10.0 * place
    return frame


@pytest.fixture
def write(tmp_path):
    def write(frame):
        path = tmp_path / "table.parquet"
        frame.to_parquet(path)
        return path

    return write


# The clustering cross-section ---------------------------------------------------------------


def test_cross_section_takes_the_latest_of_the_years_with_most_firms(table, write):
    stocks = read_clustering_cross_section(write(table))
    assert isinstance(stocks, ClusteringCrossSection)
    assert repr(stocks) == (
        "ClusteringCrossSection(2 firms, fiscal year 2015, 8 + 27 + 10 features)"
    )
    # 2014 and 2015 both have two firms. A year that ends in January belongs to the one before,
    # and of two reports in a year the later one stays.
    assert stocks.fiscal_year == 2015
    assert list(stocks.original.index) == ["AAA", "BBB"]
    assert stocks.original["sales"].to_dict() == {"AAA": 1.0, "BBB": 0.0}
    assert stocks.period_ends["BBB"] == pd.Timestamp("2016-01-31")
    assert stocks.sectors.to_dict() == {"AAA": "Materials", "BBB": "Energy"}


def test_cross_section_takes_the_fiscal_year_asked_for(table, write):
    stocks = read_clustering_cross_section(str(write(table)), fiscal_year=2014)
    assert list(stocks.price.index) == ["AAA", "CCC"]
    for name in ("original", "extension", "price", "sectors", "industries", "period_ends"):
        assert getattr(stocks, name).index.equals(stocks.original.index)
        assert getattr(stocks, name).index.name == "ticker"


def test_a_fiscal_year_that_is_not_there_is_an_error(table, write):
    with pytest.raises(
        ValueError, match=r"must be one of 2014 \(2 firms\), 2015 \(2 firms\); got 2013"
    ):
        read_clustering_cross_section(write(table), fiscal_year=2013)


def test_missing_columns_are_named(table, write):
    path = write(table.drop(columns=["Net Income", "ret_d_std"]))
    with pytest.raises(
        ValueError, match=r"must have the columns 'Net Income', 'ret_d_std', which it lacks"
    ):
        read_clustering_cross_section(path)


def test_a_table_of_another_kind_says_how_much_is_missing(write):
    path = write(pd.DataFrame({"a": [1.0]}))
    with pytest.raises(ValueError, match=r"and 44 more, which it lacks; it has 1 columns, 'a'"):
        read_clustering_cross_section(path)


def test_text_in_a_column_of_numbers_is_an_error(table, write):
    path = write(table.astype({"Inventory": str}))
    with pytest.raises(ValueError, match="must hold numbers; .* something else: 'Inventory'"):
        read_clustering_cross_section(path)


def test_a_row_without_ticker_is_an_error(table, write):
    table.loc[2, "Ticker Symbol"] = None
    with pytest.raises(ValueError, match="must have a 'Ticker Symbol' .*; 1 have not"):
        read_clustering_cross_section(write(table))


def test_the_mapping_names_columns_that_exist_and_says_what_is_missing():
    known = {*ORIGINAL_COLUMNS.values(), *EXTENSION_COLUMNS.values(), *PRICE_COLUMNS}
    found = {name for name in SP500_STUDY_COLUMNS.values() if name is not None}
    assert found <= known
    for missing in ("market_cap", "eps", "per", "roe"):
        assert SP500_STUDY_COLUMNS[missing] is None
    assert SP500_STUDY_COLUMNS["volatility"] == "ret_d_std"
    with pytest.raises(TypeError):
        SP500_STUDY_COLUMNS["eps"] = "sales"


# Prices and factors -------------------------------------------------------------------------


@pytest.fixture
def prices():
    days = pd.to_datetime(["2020-01-03", "2020-01-02", "2020-01-06"])
    return pd.DataFrame({"AAA": [2.0, 1.0, np.nan], "BBB": [5, 4, 6]}, index=days, dtype="float32")


@pytest.mark.parametrize("where", ["index", "Date", "date"])
def test_prices_come_with_dates_ascending(prices, write, where):
    frame = prices if where == "index" else prices.rename_axis(where).reset_index()
    read = read_prices_wide(write(frame))
    assert read.index.name == "date"
    assert read.columns.name == "ticker"
    assert read.index.is_monotonic_increasing
    assert (read.dtypes == "float64").all()
    assert_allclose(read, [[1.0, 4.0], [2.0, 5.0], [np.nan, 6.0]])


def test_factors_come_as_decimals(write):
    frame = pd.DataFrame(
        {"SMB": [1.5, -99.99, -2.0], "RF": [0.3, 0.2, -999.0]},
        index=pd.date_range("2020-01-31", periods=3, freq="ME"),
    )
    expected = pd.DataFrame({"SMB": [0.015, np.nan, -0.02], "RF": [0.003, 0.002, np.nan]})
    path = write(frame)
    read = read_factors(path)
    assert list(read) == ["SMB", "RF"]
    assert_allclose(read, expected)
    assert_allclose(read_factors(path, percent=False), frame)


@pytest.mark.parametrize("read", [read_prices_wide, read_factors])
def test_a_table_without_dates_is_an_error(prices, write, read):
    path = write(prices.reset_index(drop=True))
    with pytest.raises(ValueError, match="must have dates in its index or in a column named"):
        read(path)


@pytest.mark.parametrize("read", [read_prices_wide, read_factors])
def test_dates_that_are_text_are_an_error(prices, write, read):
    frame = prices.rename_axis("date").reset_index().astype({"date": str})
    with pytest.raises(ValueError, match="must have dates in its index or in a column named"):
        read(write(frame))


@pytest.mark.parametrize("read", [read_prices_wide, read_factors])
def test_a_date_that_comes_twice_is_an_error(prices, write, read):
    path = write(pd.concat([prices, prices.iloc[:1]]))
    with pytest.raises(ValueError, match="every date once; 2020-01-03 comes twice"):
        read(path)


@pytest.mark.parametrize("read", [read_prices_wide, read_factors])
def test_text_columns_are_an_error(prices, write, read):
    with pytest.raises(ValueError, match="must hold numbers; .* something else: 'BBB'"):
        read(write(prices.astype({"BBB": str})))


# Files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", READERS)
def test_a_path_without_a_file_is_an_error(read, tmp_path):
    with pytest.raises(FileNotFoundError, match="`path` must name a parquet file; there is none"):
        read(tmp_path / "nothing.parquet")


@pytest.mark.parametrize("read", READERS)
def test_a_path_that_is_no_path_is_an_error(read):
    with pytest.raises(InvalidParameterError, match="The 'path' parameter"):
        read(3)


@pytest.mark.parametrize("read", READERS)
def test_a_file_of_another_format_is_an_error(read, tmp_path):
    path = tmp_path / "table.parquet"
    path.write_text("date,AAA\n2020-01-01,1.0\n")
    with pytest.raises(ValueError, match=r"must be a parquet file: "):
        read(path)


@pytest.mark.parametrize("read", READERS)
def test_without_pyarrow_the_error_says_what_to_install(read, prices, write, monkeypatch):
    path = write(prices)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    with pytest.raises(ImportError, match=r"Run `pip install skfactor\[parquet\]`"):
        read(path)


# Real files ---------------------------------------------------------------------------------


def test_the_real_cross_section_reads(real_data: Path):
    stocks = read_clustering_cross_section(real_data / "clustering_sp500.parquet")
    assert stocks.fiscal_year == 2015
    assert stocks.original.shape == (447, 8)
    assert stocks.extension.shape == (447, 27)
    assert stocks.price.shape == (447, 10)
    assert stocks.sectors["AAPL"] == "Information Technology"
    assert stocks.original.loc["AAPL", "sales"] == 233_715_000_000
    assert stocks.original.notna().all(axis=None)
    assert stocks.sectors.nunique() == 11


def test_the_real_prices_read(real_data: Path):
    prices = read_prices_wide(real_data / "sp500_daily_adjclose_wide.parquet")
    assert prices.shape == (3239, 494)
    assert prices.min(axis=None) > 0


def test_the_real_factors_read(real_data: Path):
    for name in ("ff_factors_monthly", "ff_factors_daily", "ff3_factors_monthly_1926"):
        factors = read_factors(real_data / f"{name}.parquet")
        assert {"Mkt-RF", "SMB", "HML", "RF"} <= set(factors)
        assert factors.abs().max(axis=None) < 0.5
        assert factors["RF"].between(-0.001, 0.02).all()
