"""The ledger."""

import sqlalchemy as sa
from alembic import op

from worker.store.clock import now

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    op.create_table(
        "batches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("request_key", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=now(), nullable=False),
        sa.Column("intake_done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind in ('run', 'submit', 'watch')", name="ck_batches_kind"),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
    )
    op.create_index("ix_batches_request_key", "batches", ["request_key"])

    op.create_table(
        "scans",
        sa.Column("id", Id, nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("frame", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("manual_row_mm", sa.Double(), nullable=True),
        sa.Column("manual_column_mm", sa.Double(), nullable=True),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("queued_at", sa.DateTime(timezone=True), server_default=now(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=now(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("duplicate_of", Id, nullable=True),
        sa.CheckConstraint(
            "state in ('measured', 'flagged', 'rejected', 'failed', 'duplicate', 'queued',"
            " 'running')",
            name="ck_scans_state",
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_scans_batch_id"),
        sa.ForeignKeyConstraint(["duplicate_of"], ["scans.id"], name="fk_scans_duplicate_of"),
        sa.PrimaryKeyConstraint("id", name="pk_scans"),
        sa.UniqueConstraint(
            "batch_id", "source", "frame", "version", name="uq_scans_batch_id_source_frame_version"
        ),
    )
    op.create_index(
        "ix_scans_batch_id_state_changed_at", "scans", ["batch_id", "state", "changed_at"]
    )
    op.create_index("ix_scans_owner", "scans", ["owner"])
    op.create_index("ix_scans_state_lease_until", "scans", ["state", "lease_until"])
    op.create_index("ix_scans_state_published_at", "scans", ["state", "published_at"])

    op.create_table(
        "skipped_files",
        sa.Column("id", Id, nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_skipped_files_batch_id"),
        sa.PrimaryKeyConstraint("id", name="pk_skipped_files"),
        sa.UniqueConstraint("batch_id", "source", name="uq_skipped_files_batch_id_source"),
    )
    op.create_table(
        "attempts",
        sa.Column("id", Id, nullable=False),
        sa.Column("scan_id", Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=now(), nullable=False),
        sa.ForeignKeyConstraint(["scan_id"], ["scans.id"], name="fk_attempts_scan_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
    )
    op.create_index("ix_attempts_scan_id", "attempts", ["scan_id"])

    op.create_table(
        "results",
        sa.Column("id", Id, nullable=False),
        sa.Column("scan_id", Id, nullable=False),
        sa.Column("content_key", sa.Text(), nullable=True),
        sa.Column("measured_at", sa.DateTime(timezone=True), server_default=now(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("hc_mm", sa.Double(), nullable=True),
        sa.Column("bpd_mm", sa.Double(), nullable=True),
        sa.Column("ofd_mm", sa.Double(), nullable=True),
        sa.Column("ga_weeks", sa.Double(), nullable=True),
        sa.Column("ga_formula", sa.Text(), nullable=True),
        sa.Column("row_mm", sa.Double(), nullable=True),
        sa.Column("column_mm", sa.Double(), nullable=True),
        sa.Column("spacing_source", sa.Text(), nullable=True),
        sa.Column("region_index", sa.Integer(), nullable=True),
        sa.Column("region_box", sa.Text(), nullable=True),
        sa.Column("delta_x_cm", sa.Double(), nullable=True),
        sa.Column("delta_y_cm", sa.Double(), nullable=True),
        sa.Column("center_x_px", sa.Double(), nullable=True),
        sa.Column("center_y_px", sa.Double(), nullable=True),
        sa.Column("semi_axis_a_px", sa.Double(), nullable=True),
        sa.Column("semi_axis_b_px", sa.Double(), nullable=True),
        sa.Column("angle_rad", sa.Double(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("decoder", sa.Text(), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=True),
        sa.Column("columns", sa.Integer(), nullable=True),
        sa.Column("sop_instance_uid", sa.Text(), nullable=True),
        sa.Column("study_instance_uid", sa.Text(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["scan_id"], ["scans.id"], name="fk_results_scan_id"),
        sa.PrimaryKeyConstraint("id", name="pk_results"),
        sa.UniqueConstraint("content_key", "model", name="uq_results_content_key_model"),
        sa.UniqueConstraint("scan_id", "model", name="uq_results_scan_id_model"),
    )


def downgrade():
    for table in ("results", "attempts", "skipped_files", "scans", "batches"):
        op.drop_table(table)
