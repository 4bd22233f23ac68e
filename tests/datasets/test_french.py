"""Kenneth French's files, and plain CSV files of factors and prices."""

import zipfile

import numpy as np
import pandas as pd
import pytest

from skfactor.datasets import read_factors, read_french, read_prices_wide

FACTORS = """This file was created by CMPT_ME_BEME_RETS using the 202212 CRSP database.
The 1-month TBill return is from Ibbotson and Associates, Inc.

,Mkt-RF,SMB,HML,RF
192607,    2.96,   -2.30,   -2.87,    0.22
192608,    2.64,   -1.40,  -99.99,    0.25
192609,    0.36,   -1.32,    0.01,    0.23

  Annual Factors: January-December
,Mkt-RF,SMB,HML,RF
  1927,   29.47,   -2.46,   -3.75,    3.12
  1928,   35.39,    4.20,   -6.15,    3.56

Copyright 2022 Kenneth R. French
"""

PORTFOLIOS = """This file was created using the 202212 CRSP database.
Missing data are indicated by -99.99 or -999.


  Average Value Weighted Returns -- Monthly
,SMALL LoBM,ME1 BM2 ,BIG HiBM
192607,    5.8248,   -999,    0.1
192608,    1.0,   2.0,    3.0

  Average Equal Weighted Returns -- Monthly
,SMALL LoBM,ME1 BM2 ,BIG HiBM
192607,    4.0,   5.0,    6.0
192608,    7.0,   8.0,    9.0

  Average Value Weighted Returns -- Annual
,SMALL LoBM,ME1 BM2 ,BIG HiBM
1927,    40.0,   50.0,    60.0

  Number of Firms in Portfolios
,SMALL LoBM,ME1 BM2 ,BIG HiBM
192607,    26,   30,    -999
192608,    27,   31,    9

  Average Market Cap
,SMALL LoBM,ME1 BM2 ,BIG HiBM
192607,    2.5,   3.5,    400.25

  For portfolios formed in June of year t
  Value Weight Average of BE/ME Calculated for June of t to June of t+1 as:
,SMALL LoBM,ME1 BM2 ,BIG HiBM
192607,    0.5,   0.6,    1.4
"""


@pytest.fixture
def factors(tmp_path):
    path = tmp_path / "F-F_Research_Data_Factors_CSV.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("F-F_Research_Data_Factors.csv", FACTORS.replace("\n", "\r\n"))
    return path


@pytest.fixture
def portfolios(tmp_path):
    path = tmp_path / "25_Portfolios_5x5.CSV"
    path.write_text(PORTFOLIOS)
    return path


def test_a_zip_file_gives_monthly_factors_in_decimals(factors):
    found = read_french(factors)
    assert found.columns.to_list() == ["Mkt-RF", "SMB", "HML", "RF"]
    assert found.index.name == "date"
    assert found.index.strftime("%Y-%m-%d").to_list() == ["1926-07-31", "1926-08-31", "1926-09-30"]
    np.testing.assert_allclose(found.iloc[0], [0.0296, -0.023, -0.0287, 0.0022])
    assert np.isnan(found.loc["1926-08-31", "HML"])
    assert found.isna().to_numpy().sum() == 1


@pytest.mark.parametrize("table", [1, -1, "annual", "Annual Factors"])
def test_the_annual_block_is_a_table_of_its_own(factors, table):
    found = read_french(factors, table)
    assert found.index.strftime("%Y-%m-%d").to_list() == ["1927-12-31", "1928-12-31"]
    assert found.loc["1928-12-31", "SMB"] == pytest.approx(0.042)


def test_returns_are_decimals_and_counts_stay_as_they_are(portfolios):
    returns = read_french(portfolios)
    assert returns.columns.to_list() == ["SMALL LoBM", "ME1 BM2", "BIG HiBM"]
    np.testing.assert_allclose(returns.iloc[0], [0.058248, np.nan, 0.001])
    equal = read_french(portfolios, "average equal weighted returns -- monthly")
    np.testing.assert_allclose(equal.iloc[1], [0.07, 0.08, 0.09])
    firms = read_french(portfolios, "Number of Firms")
    np.testing.assert_allclose(firms.iloc[0], [26, 30, np.nan])
    np.testing.assert_allclose(read_french(portfolios, "Market Cap").iloc[0], [2.5, 3.5, 400.25])
    np.testing.assert_allclose(read_french(portfolios, "BE/ME").iloc[0], [0.5, 0.6, 1.4])
    np.testing.assert_allclose(read_french(portfolios, percent=False).iloc[1], [1, 2, 3])


def test_daily_files_have_days(tmp_path):
    path = tmp_path / "daily.csv"
    path.write_text("text\n\n,Mom   \n19261103,   0.56\n19261104,  -0.50\n")
    found = read_french(path, "daily")
    assert found.columns.to_list() == ["Mom"]
    assert found.index[0] == pd.Timestamp("1926-11-03")


def test_a_table_that_is_not_there_or_not_one_is_refused_with_a_list(portfolios, factors):
    message = (
        "got 'turnover', which chooses none. They are 0: Average Value Weighted Returns -- Monthly "
        r"\(monthly, 2 rows\); 1: Average Equal"
    )
    with pytest.raises(ValueError, match=message):
        read_french(portfolios, "turnover")
    with pytest.raises(ValueError, match="got 'Value Weighted', which fits 2"):
        read_french(portfolios, "Value Weighted")
    with pytest.raises(ValueError, match="got 2, which chooses none. They are 0: no title"):
        read_french(factors, 2)


def test_files_of_another_kind_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is none at"):
        read_french(tmp_path / "absent.zip")
    plain = tmp_path / "plain.csv"
    plain.write_text("date,SMB\n2020-01-31,0.1\n")
    with pytest.raises(ValueError, match="it has none. For a CSV file with a header"):
        read_french(plain)
    several = tmp_path / "several.zip"
    with zipfile.ZipFile(several, "w") as archive:
        archive.writestr("a.csv", FACTORS)
        archive.writestr("b.csv", FACTORS)
    with pytest.raises(ValueError, match="an archive of one file; it holds 2"):
        read_french(several)
    text = tmp_path / "text.csv"
    text.write_text(",SMB\n192607, high\n")
    with pytest.raises(ValueError, match="must hold numbers"):
        read_french(text)
    twice = tmp_path / "twice.csv"
    twice.write_text(",SMB\n192607, 1\n192607, 2\n")
    with pytest.raises(ValueError, match="1926-07-31 comes twice"):
        read_french(twice)


@pytest.mark.parametrize(
    ("dates", "first"),
    [
        (["2024-01-31", "2024-02-29"], "2024-01-31"),
        (["202401", "202402"], "2024-01-31"),
        (["20240115", "20240116"], "2024-01-15"),
    ],
)
@pytest.mark.parametrize("header", ["Date", "", "month"])
def test_plain_csv_files_are_read_as_parquet_files_are(tmp_path, dates, first, header):
    path = tmp_path / "factors.csv"
    path.write_text(f"{header},SMB\n{dates[1]},-99.99\n{dates[0]},1.5\n")
    found = read_factors(path)
    assert found.index.name == "date"
    assert found.index[0] == pd.Timestamp(first)
    np.testing.assert_allclose(found["SMB"], [0.015, np.nan])
    assert read_prices_wide(path).columns.name == "ticker"


def test_csv_files_without_dates_are_refused(tmp_path):
    path = tmp_path / "factors.csv"
    path.write_text("SMB,HML\n1.5,2.5\n")
    with pytest.raises(ValueError, match="got 1.5 in the column 'SMB'"):
        read_factors(path)
    with pytest.raises(FileNotFoundError, match="must name a file"):
        read_factors(tmp_path / "absent.csv")
