#!/usr/bin/env bash
# Run the tests on the oldest versions that pyproject.toml admits.
#
#     tools/test_oldest.sh [FOLDER [ARGUMENTS OF PYTEST]]
#
# FOLDER (default: .venv-oldest) receives the virtual environment, made by $PYTHON (default:
# python3.11). The floors are read from pyproject.toml, so that there is no second list of them.
# Only torch comes from constraints-dev.txt: TORCH=torch==2.4.0 asks for another release of it.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-.venv-oldest}
shift $(($# > 0 ? 1 : 0))
torch=${TORCH:-$(grep '^torch==' constraints-dev.txt)}
export OMP_NUM_THREADS=1

"${PYTHON:-python3.11}" -m venv "$folder"
python=$folder/bin/python
"$python" - "$torch" > "$folder/oldest.txt" <<'PYTHON'
import re
import sys
import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
extras = project["optional-dependencies"]
# Of what only tests need, the newest will do, except for polars, whose frames we take.
used = [*project["dependencies"], *extras["plot"], *extras["parquet"]]
for requirement in [*used, *extras["test"]]:
    name, _, version = requirement.partition(">=")
    if name == "torch":
        print(sys.argv[1])
    elif requirement in used or name == "polars":
        if not re.fullmatch(r"[\d.]+", version):
            sys.exit(f"pyproject.toml must state one floor for {name}; got {requirement!r}.")
        print(f"{name}=={version}")
PYTHON
echo "+ the oldest versions"
cat "$folder/oldest.txt"
"$python" -m pip install -q -c "$folder/oldest.txt" -e ".[test]"
# Old releases meet newer ones of what they depend on: those deprecations are not ours to mend.
# (Ours fail the tests on the newest versions.)
"$python" -m pytest -p no:cacheprovider -W default::DeprecationWarning \
    -W default::PendingDeprecationWarning -W default::pytest.PytestRemovedIn10Warning "$@"
