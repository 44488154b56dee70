"""What scanners' own reports say of heads, to compare with."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    op.create_table(
        "reference_values",
        sa.Column("id", Id, nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=True),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("fetus", sa.Text(), nullable=False),
        sa.Column("hc_mm", sa.Double(), nullable=True),
        sa.Column("bpd_mm", sa.Double(), nullable=True),
        sa.Column("ofd_mm", sa.Double(), nullable=True),
        sa.Column("ga_weeks", sa.Double(), nullable=True),
        sa.Column("ga_source", sa.Text(), nullable=True),
        sa.Column("hc_where", sa.Text(), nullable=True),
        sa.Column("derivation", sa.Text(), nullable=True),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("image_uids", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_reference_values_batch_id"),
        sa.PrimaryKeyConstraint("id", name="pk_reference_values"),
        sa.UniqueConstraint(
            "batch_id", "source", "fetus", name="uq_reference_values_batch_id_source_fetus"
        ),
    )
    op.create_index(
        "ix_reference_values_study_instance_uid", "reference_values", ["study_instance_uid"]
    )


def downgrade():
    op.drop_table("reference_values")
