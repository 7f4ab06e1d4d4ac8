"""The first schema: schemas, runs, registry, imaging, scoring and analytics."""

from pathlib import Path

from alembic import op

from scoring.warehouse.migrate import run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the files of sql/migrations/baseline in the order of their numbers."""
    for path in sorted((Path(__file__).parents[1] / "baseline").glob("*.sql")):
        run_script(op.get_bind(), path)
