"""Rau scores know whether their radiographs still stand behind them."""

from pathlib import Path

from alembic import op

from scoring.warehouse.migrate import run_script

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))
