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
# The folder of an installed package is no place for settings or data.
PROJECT_DIR = PACKAGE_DIR.parent if IS_CHECKOUT else Path.cwd()

# Name of the file that the extractor writes last.
SUCCESS_MARKER = "_SUCCESS"

# File names of the extractor: <SOP instance UID>_<registry column of the joint>.jpg. UIDs consist of digits and dots
# (DICOM PS3.5, chapter 9). Letters and hyphens are allowed because registries replace UIDs by pseudonyms.
IMAGE_PATTERN = (
    r"(?P<sop_iuid>[0-9A-Za-z][0-9A-Za-z.\-]{0,63})_"
    r"(?P<joint>(?:hand|foot)_(?:left|right)_\d{1,2}|wrist_(?:left|right))\.jpe?g"
)


class Settings(BaseSettings):
    """Settings of an installation. Every default works on a laptop; `docker/.env.example` lists those of a hospital.

    Landing, staging, reports and model store are fsspec URLs: a local folder, `s3://...` or `sftp://...`.
    """

    model_config = SettingsConfigDict(env_prefix="SCORING_", extra="ignore", frozen=True)

    var_dir: Path = Field(
        PROJECT_DIR / "var", description="Folder of all local files, unless one of the following URLs is set."
    )
    landing_url: str = Field("", description="Folder to which the extractor delivers batches; default <var>/landing.")
    staging_url: str = Field("", description="Folder of the intermediate files of a run; default <var>/staging.")
    report_url: str = Field("", description="Folder of reports and Data Docs; default <var>/reports.")
    model_store_url: str = Field("", description="Folder of trained models; default <var>/models.")

    warehouse_url: SecretStr | None = Field(
        None, description="PostgreSQL 14 or later, as the role of the job; default: the embedded server."
    )
    migration_url: SecretStr | None = Field(
        None, description="The same database, as a role that may create schemas; default: warehouse_url."
    )

    timezone: str = Field("Europe/Zurich", description="IANA time zone that defines the date of a batch.")
    lookback_days: Annotated[int, Field(ge=0, le=366)] = Field(
        7, description="Number of days before the batch date that are searched for late files."
    )
    success_marker: str = Field(SUCCESS_MARKER, description="Name of the file that closes a batch folder.")
    image_pattern: str = Field(
        IMAGE_PATTERN,
        description="Regular expression of image file names, with the named groups sop_iuid and joint.",
    )
    registry_source: Literal["files", "sql"] = Field(
        "files", description="Source of the registry tables: files in the batch folder, or SQL queries."
    )
    registry_sql_url: SecretStr | None = Field(
        None, description="SQLAlchemy URL of the registry's database; required if registry_source is sql."
    )

    max_bad_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.25, description="Largest share of quarantined rows, without copies, in a table; a larger share stops the run."
    )
    min_rows_for_bad_share: Annotated[int, Field(ge=1)] = Field(
        40, description="Smallest number of rows for which max_bad_share applies; a few bad rows may be chance."
    )
    min_image_side: Annotated[int, Field(ge=8)] = Field(48, description="Smallest side of a valid image in pixels.")
    # The decoder rejects sides over 4096 pixels without decoding them.
    max_image_side: Annotated[int, Field(le=4096)] = Field(
        1024, description="Largest side of a valid image in pixels; crops of joints have a few hundred."
    )

    shard_size: Annotated[int, Field(ge=1)] = Field(5000, description="Number of images per scoring task.")
    batch_size: Annotated[int, Field(ge=1)] = Field(128, description="Number of joints per call of the network.")
    engine: Literal["auto", "openvino", "tensorflow"] = Field(
        "auto", description="Inference engine; auto selects TensorFlow if a GPU is visible and OpenVINO otherwise."
    )

    min_joints_of_grade: Annotated[int, Field(ge=1)] = Field(
        20, description="Smallest number of read joints per grade that a retraining needs."
    )
    min_training_patients: Annotated[int, Field(ge=3)] = Field(
        100,
        description="Smallest number of patients with read joints that a retraining needs; 70/20/10 % of them form the "
        "training, validation and test set.",
    )
    # Scaled to the 38 joints of a Rau score, the default is 5.7 points: less than 6.3, the smallest detectable change
    # of human readers.
    max_subgroup_loss: Annotated[float, Field(ge=0, le=5)] = Field(
        0.15, description="Largest increase of a new model's error, in grades, that the gate accepts in a subgroup."
    )
    approvers: str = Field(
        "",
        description="Ids of the Airflow users who may approve a new model, separated by commas, as in Airflow's auth "
        "manager (numbers for FAB); default: any user who may respond.",
    )

    code_revision: str = Field(
        "", description="Code revision of a container image; default: from git, or the version of the package."
    )

    @field_validator("image_pattern")
    @classmethod
    def _pattern_names_radiograph_and_joint(cls, pattern: str) -> str:
        if not {"sop_iuid", "joint"} <= set(re.compile(pattern).groupindex):
            raise ValueError("the pattern needs the named groups (?P<sop_iuid>...) and (?P<joint>...)")
        return pattern

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, IsADirectoryError) as error:
            raise ValueError("unknown time zone; use an IANA name such as Europe/Zurich") from error
        return name

    @model_validator(mode="before")
    @classmethod
    def _blank_means_unset(cls, values: dict[str, object]) -> dict[str, object]:
        # Compose files pass `SCORING_WAREHOUSE_URL=` for "not set".
        return {key: value for key, value in values.items() if value != ""}

    @model_validator(mode="after")
    def _local_defaults(self) -> Self:
        folders = {"landing": "landing", "staging": "staging", "report": "reports", "model_store": "models"}
        for name, folder in folders.items():
            if not getattr(self, f"{name}_url"):
                object.__setattr__(self, f"{name}_url", str(self.var_dir / folder))
        return self

    @cached_property
    def revision(self) -> str:
        """Code revision stored with every prediction."""
        if self.code_revision:
            return self.code_revision
        if not IS_CHECKOUT:
            return version("bone-erosion-scoring")
        try:
            described = subprocess.run(
                ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607 - git from PATH
                cwd=PROJECT_DIR,
                capture_output=True,
                text=True,
                check=True,
                # In a copy without .git inside another repository, git would return the revision of that repository.
                env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_CEILING_DIRECTORIES": str(PROJECT_DIR.parent)},
            )
        except (OSError, subprocess.CalledProcessError):
            return "unknown"
        return described.stdout.strip()


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the settings of this process, which are read once.

    A variable overrides the settings file. The file is the one in `SCORING_ENV_FILE`, or else `.env` in the checkout
    or, for an installed package, in the working directory.

    Raises:
        InvalidRequest: The settings file does not exist, or a value is invalid. The message gives the names of the
            variables, not their values.
    """
    try:
        return Settings(_env_file=_env_file())
    except ValidationError as error:
        invalid = (
            f"{'_'.join(('SCORING', *map(str, found['loc']))).upper()}: {found['msg'].removeprefix('Value error, ')}"
            for found in error.errors(include_input=False, include_url=False)
        )
        raise InvalidRequest(f"The settings are invalid. {'; '.join(invalid)}.") from None


def _env_file() -> Path:
    named = os.environ.get("SCORING_ENV_FILE")
    if named and not Path(named).is_file():
        raise InvalidRequest(f"The settings file {named} does not exist. Correct or unset SCORING_ENV_FILE.")
    return Path(named) if named else PROJECT_DIR / ".env"


def sql_dir() -> Path:
    """Return the folder of the SQL files: next to the package in a checkout, inside it in an installed wheel."""
    inside = PACKAGE_DIR / "sql"
    return inside if inside.is_dir() else PACKAGE_DIR.parent / "sql"
