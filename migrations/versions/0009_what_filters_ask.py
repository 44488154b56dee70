"""HC, plane and flags of the reported result stand beside a scan's state, where filters look."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COLUMNS = (("hc_mm", sa.Double()), ("plane", sa.Text()), ("flags", sa.Text()))
INDEXES = (("code",), ("model",), ("hc_mm",), ("flags",), ("plane", "changed_at"))


# Earlier revisions named them twice.
CHECKS = (
    ("batches", "ck_batches_kind"),
    ("scans", "ck_scans_state"),
    ("reviews", "ck_reviews_verdict"),
)


def upgrade():
    if op.get_context().dialect.name == "postgresql":
        for table, name in CHECKS:
            op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT ck_{table}_{name} TO {name}")
    for name, kind in COLUMNS:
        op.add_column("scans", sa.Column(name, kind, nullable=True))
    op.execute(
        "UPDATE scans SET hc_mm = results.hc_mm, plane = results.plane,"
        " flags = nullif(results.flags, '') FROM results"
        " WHERE results.scan_id = coalesce(scans.duplicate_of, scans.id)"
        " AND results.model = scans.model"
    )
    for names in INDEXES:
        known = sa.text(f"{names[0]} IS NOT NULL")
        where = {"sqlite_where": known, "postgresql_where": known}
        op.create_index(_named(names), "scans", list(names), **where)


def downgrade():
    if op.get_context().dialect.name == "postgresql":
        for table, name in CHECKS:
            op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {name} TO ck_{table}_{name}")
    for names in INDEXES:
        op.drop_index(_named(names), "scans")
    for name, _ in reversed(COLUMNS):
        op.drop_column("scans", name)


def _named(names):
    return "_".join(("ix_scans", *names))
