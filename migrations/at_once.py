"""The tables of this version made at once, where there are none: what all migrations come to."""

from sqlalchemy import Column, Connection, MetaData, String, Table, insert, text

from worker.store.tables import OF_KNOWN, Base
from worker.store.views import make_views

VERSION = Table(
    "alembic_version",
    MetaData(naming_convention={"pk": "alembic_version_pkc"}),
    Column("version_num", String(32), primary_key=True),
)
"""As Alembic makes it."""


def create(connection: Connection, revision: str) -> None:
    """Create tables, indexes and views, and note the revision to which they belong."""
    for table in Base.metadata.tables.values():
        for index in table.indexes:
            if index.info == OF_KNOWN:
                known = text(f"{index.columns[0].name} IS NOT NULL")
                index.dialect_options[connection.dialect.name]["where"] = known
    Base.metadata.create_all(connection, checkfirst=False)
    VERSION.create(connection, checkfirst=True)
    connection.execute(insert(VERSION).values(version_num=revision))
    make_views(connection)
