"""What people say of measurements: reviews, beside the results and never in their place."""

import sqlalchemy as sa
from alembic import op

from worker.store.clock import now

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    op.create_table(
        "reviews",
        sa.Column("id", Id, nullable=False),
        sa.Column("scan_id", Id, nullable=False),
        sa.Column("request_key", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("center_x_px", sa.Double(), nullable=True),
        sa.Column("center_y_px", sa.Double(), nullable=True),
        sa.Column("semi_axis_a_px", sa.Double(), nullable=True),
        sa.Column("semi_axis_b_px", sa.Double(), nullable=True),
        sa.Column("angle_rad", sa.Double(), nullable=True),
        sa.Column("hc_mm", sa.Double(), nullable=True),
        sa.Column("bpd_mm", sa.Double(), nullable=True),
        sa.Column("ofd_mm", sa.Double(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=now(), nullable=False),
        sa.CheckConstraint(
            "verdict in ('accepted', 'rejected', 'corrected')", name="ck_reviews_verdict"
        ),
        sa.ForeignKeyConstraint(["scan_id"], ["scans.id"], name="fk_reviews_scan_id"),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
        sa.UniqueConstraint("request_key", name="uq_reviews_request_key"),
    )
    op.create_index("ix_reviews_scan_id", "reviews", ["scan_id"])
    op.create_index("ix_scans_state_id", "scans", ["state", "id"])
    op.create_index("ix_results_study_instance_uid", "results", ["study_instance_uid"])


def downgrade():
    op.drop_index("ix_results_study_instance_uid", "results")
    op.drop_index("ix_scans_state_id", "scans")
    op.drop_table("reviews")
