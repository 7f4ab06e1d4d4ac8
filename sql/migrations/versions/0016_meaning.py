"""What columns mean, said more exactly; one date for each radiograph."""

from pathlib import Path

from alembic import op

from scoring.warehouse.migrate import run_script

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))
