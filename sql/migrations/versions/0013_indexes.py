"""Indexes for ten million predictions."""

from pathlib import Path

from alembic import op

from scoring.warehouse.migrate import run_script

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))
