"""The path stands beside the state in an index, where a list looks for a part of it."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("ix_scans_state_id_source", "scans", ["state", "id", "source"])
    op.drop_index("ix_scans_state_id", "scans")


def downgrade():
    op.create_index("ix_scans_state_id", "scans", ["state", "id"])
    op.drop_index("ix_scans_state_id_source", "scans")
