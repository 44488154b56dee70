"""The exam and its scanner, and indexes for what people ask: image, time, path, duplicates."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = (
    ("study_date", sa.Date()),
    ("accession_number", sa.Text()),
    ("series_instance_uid", sa.Text()),
    ("machine", sa.Text()),
    ("software_version", sa.Text()),
)
INDEXES = (
    ("ix_results_sop_instance_uid", "results", ["sop_instance_uid"]),
    ("ix_results_measured_at", "results", ["measured_at"]),
    ("ix_scans_batch_id_id", "scans", ["batch_id", "id"]),
    ("ix_scans_changed_at", "scans", ["changed_at"]),
    ("ix_scans_source_frame_id", "scans", ["source", "frame", "id"]),
    ("ix_scans_duplicate_of", "scans", ["duplicate_of"]),
)


def upgrade():
    for name, kind in COLUMNS:
        op.add_column("results", sa.Column(name, kind, nullable=True))
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)


def downgrade():
    for name, table, _ in reversed(INDEXES):
        op.drop_index(name, table)
    for name, _ in reversed(COLUMNS):
        op.drop_column("results", name)
