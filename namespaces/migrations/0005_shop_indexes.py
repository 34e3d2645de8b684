from pathlib import Path

from django.db import migrations

SHOP = Path(__file__).parent.parent / "sql" / "shop.sql"


class Migration(migrations.Migration):
    """After the one before, because Django makes its `_like` indexes at its end."""

    dependencies = [("namespaces", "0004_shop")]

    operations = [migrations.RunSQL(SHOP.read_text(), migrations.RunSQL.noop)]
