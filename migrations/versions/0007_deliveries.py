"""Objects on their way to archives, and what these answered."""

import sqlalchemy as sa
from alembic import op

from worker.store.clock import now

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    op.create_table(
        "deliveries",
        sa.Column("id", Id, nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("scan_id", Id, nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("object_uid", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=now(), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), server_default=now(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=now(), nullable=False),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('queued', 'sent', 'refused')", name="state"),
        sa.ForeignKeyConstraint(["scan_id"], ["scans.id"], name="fk_deliveries_scan_id"),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.UniqueConstraint(
            "destination", "form", "scan_id", name="uq_deliveries_destination_form_scan_id"
        ),
    )
    op.create_index(
        "ix_deliveries_destination_state_due_at", "deliveries", ["destination", "state", "due_at"]
    )


def downgrade():
    op.drop_table("deliveries")
