"""The interval of HC."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS = ("hc_low_mm", "hc_high_mm")


def upgrade():
    for name in COLUMNS:
        op.add_column("results", sa.Column(name, sa.Double(), nullable=True))


def downgrade():
    for name in reversed(COLUMNS):
        op.drop_column("results", name)
