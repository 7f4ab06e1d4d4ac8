"""Settings of one installation, read from `SCORING_*` environment variables or a `.env` file, checked at the start."""

import os
import re
import subprocess
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from scoring.errors import InvalidRequest

PACKAGE_DIR = Path(__file__).resolve().parent
IS_CHECKOUT = (PACKAGE_DIR.parent / "pyproject.toml").exists()
# Where the package is installed, the folder beside it is nobody's place for settings or data.
PROJECT_DIR = PACKAGE_DIR.parent if IS_CHECKOUT else Path.cwd()
ENV_FILE_VARIABLE = "SCORING_ENV_FILE"

# The extractor's file names: <SOP instance UID>_<registry column of the joint>.jpg. UIDs are digits and dots (DICOM
# PS3.5, chapter 9); letters and hyphens are allowed because registries replace UIDs by pseudonyms of their own.
IMAGE_PATTERN = (
    r"(?P<sop_iuid>[0-9A-Za-z][0-9A-Za-z.\-]{0,63})_"
    r"(?P<joint>(?:hand|foot)_(?:left|right)_\d{1,2}|wrist_(?:left|right))\.jpe?g"
)


class Settings(BaseSettings):
    """Every setting has a default that works on a laptop; `docker/.env.example` lists them for a hospital.

    Landing, staging, report and model store are fsspec URLs: a local folder, `s3://...`, `sftp://...`.
    """

    model_config = SettingsConfigDict(env_prefix="SCORING_", extra="ignore", frozen=True)

    var_dir: Path = Field(
        PROJECT_DIR / "var", description="Everything local lives here unless a URL below says otherwise."
    )
    landing_url: str = Field("", description="Drop zone of the extractor; default <var>/landing.")
    staging_url: str = Field("", description="Parquet between the steps of a run; default <var>/staging.")
    report_url: str = Field("", description="Where nightly reports and Data Docs go; default <var>/reports.")
    model_store_url: str = Field("", description="Trained models beside the shipped one; default <var>/models.")

    warehouse_url: SecretStr | None = Field(None, description="PostgreSQL 14+, as the job's role; unset = embedded.")
    migration_url: SecretStr | None = Field(None, description="The same database as a role that may create schemas.")

    timezone: str = Field("Europe/Zurich", description="Time zone in which a night begins and ends.")
    lookback_days: Annotated[int, Field(ge=0, le=366)] = Field(
        7, description="How many earlier folders are searched for files that came late."
    )
    success_marker: str = "_SUCCESS"
    image_pattern: str = IMAGE_PATTERN
    registry_source: Literal["files", "sql"] = Field("files", description="Datasets from files or by SQL.")
    registry_sql_url: SecretStr | None = Field(None, description="The registry's own database, if by SQL.")

    max_bad_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.25, description="A table with a larger share of quarantined rows stops the night."
    )
    min_rows_for_bad_share: Annotated[int, Field(ge=1)] = Field(
        40, description="Below this many rows the share is not judged: 3 bad rows of 8 are no systematic failure."
    )
    min_image_side: Annotated[int, Field(ge=8)] = 48
    # The decoder refuses a longer side unread: a crop of one joint has at most a few hundred pixels.
    max_image_side: Annotated[int, Field(le=4096)] = 1024

    shard_size: Annotated[int, Field(ge=1)] = Field(5000, description="Images a mapped scoring task takes.")
    batch_size: Annotated[int, Field(ge=1)] = Field(128, description="Joints the network sees at once.")
    engine: Literal["auto", "openvino", "tensorflow"] = Field("auto", description="auto: TensorFlow if it sees a GPU.")

    min_joints_of_grade: Annotated[int, Field(ge=1)] = Field(
        20, description="Read joints of each grade that a retraining needs to learn from."
    )
    min_training_patients: Annotated[int, Field(ge=3)] = Field(
        100, description="Patients with read joints that a retraining needs; 70/20/10 % of them train, choose and test."
    )
    # In grades. Over the 38 joints of a Rau score it comes to 5.7 points, less than the 6.3 by which two readings must
    # differ to show a change.
    max_subgroup_loss: Annotated[float, Field(ge=0, le=5)] = Field(
        0.15, description="How much farther from the readings a new model may be in a subgroup."
    )
    approvers: str = Field(
        "",
        description="Ids of the Airflow users who may decide on a new model, with commas between, as its auth manager "
        "knows them (with FAB they are numbers); empty: all who may answer.",
    )

    code_revision: str = Field(
        "", description="Baked into an image; else asked from git, or the version of the package."
    )

    @field_validator("image_pattern")
    @classmethod
    def _pattern_names_radiograph_and_joint(cls, pattern: str) -> str:
        if not {"sop_iuid", "joint"} <= set(re.compile(pattern).groupindex):
            raise ValueError("image_pattern needs the named groups (?P<sop_iuid>...) and (?P<joint>...)")
        return pattern

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, IsADirectoryError) as error:
            raise ValueError(f"no time zone {name!r}; an IANA name such as Europe/Zurich is needed") from error
        return name

    @model_validator(mode="before")
    @classmethod
    def _blank_means_unset(cls, values: dict[str, object]) -> dict[str, object]:
        # Compose files pass `SCORING_WAREHOUSE_URL=` for "not set".
        return {key: value for key, value in values.items() if value != ""}

    @model_validator(mode="after")
    def _local_defaults(self) -> Self:
        for name, folder in (
            ("landing_url", "landing"),
            ("staging_url", "staging"),
            ("report_url", "reports"),
            ("model_store_url", "models"),
        ):
            if not getattr(self, name):
                object.__setattr__(self, name, str(self.var_dir / folder))
        return self

    @cached_property
    def revision(self) -> str:
        """The code revision that every prediction row carries."""
        if self.code_revision:
            return self.code_revision
        if not IS_CHECKOUT:
            return version("bone-erosion-scoring")
        if not (PROJECT_DIR / ".git").exists():
            # Unpacked inside somebody else's repository, git would answer with that one's revision.
            return "unknown"
        try:
            described = subprocess.run(
                ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607 - git of the PATH is meant
                cwd=PROJECT_DIR,
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            )
        except (OSError, subprocess.CalledProcessError):
            return "unknown"
        return described.stdout.strip()


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once.

    A variable wins over a line of the file that `SCORING_ENV_FILE` names, or else of `.env` in the checkout; where the
    package is installed, in the working directory.

    Raises:
        InvalidRequest: The file that is named is not there, or a variable has a value that makes no sense; names the
            variable, never repeats its value.
    """
    try:
        return Settings(_env_file=_env_file())
    except ValidationError as error:
        wrong = (
            f"{'_'.join(('SCORING', *map(str, found['loc']))).upper()}: {found['msg']}"
            for found in error.errors(include_input=False, include_url=False)
        )
        raise InvalidRequest(f"the settings cannot be used: {'; '.join(wrong)}") from None


def _env_file() -> Path:
    named = os.environ.get(ENV_FILE_VARIABLE)
    if named and not Path(named).is_file():
        raise InvalidRequest(f"{ENV_FILE_VARIABLE} names a file that is not there: {named}")
    return Path(named) if named else PROJECT_DIR / ".env"


def sql_dir() -> Path:
    """Folder of the SQL files: beside the package in a checkout, inside it in an installed wheel."""
    inside = PACKAGE_DIR / "sql"
    return inside if inside.is_dir() else PACKAGE_DIR.parent / "sql"
