"""The plane of a head, and a person's word for it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = (("plane", sa.Text()), ("plane_confidence", sa.Double()), ("plane_source", sa.Text()))


def upgrade():
    op.add_column(
        "scans", sa.Column("any_plane", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    for name, kind in COLUMNS:
        op.add_column("results", sa.Column(name, kind, nullable=True))


def downgrade():
    for name, _ in reversed(COLUMNS):
        op.drop_column("results", name)
    op.drop_column("scans", "any_plane")
