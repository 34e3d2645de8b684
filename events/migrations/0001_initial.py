from pathlib import Path

from django.db import migrations, models

SCHEMA = Path(__file__).parent.parent / "sql" / "schema.sql"


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Idempotency',
            fields=[
                ('digest', models.BinaryField(max_length=32, primary_key=True, serialize=False)),
                ('seq', models.BigIntegerField()),
                ('stream', models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('seq', models.BigIntegerField(primary_key=True, serialize=False)),
                ('event_id', models.TextField()),
                ('stream', models.TextField()),
                ('source', models.TextField()),
                ('key', models.TextField(null=True)),
                ('schema', models.TextField(null=True)),
                ('namespace', models.TextField()),
                ('entity_id', models.TextField(db_collation='C')),
                ('occurred_at', models.BigIntegerField(help_text="epoch ms, the producer's clock")),
                ('recorded_at', models.DateTimeField(help_text='when the server committed it')),
                ('token', models.TextField(null=True)),
                ('payload', models.TextField(help_text='the exact JSON text that was published')),
            ],
            options={
                'indexes': [models.Index(fields=['entity_id', 'seq'], name='events_event_entity_seq')],
            },
        ),
        migrations.CreateModel(
            name='Log',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('log_id', models.UUIDField()),
                ('registry_version', models.BigIntegerField(default=0)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='events_log_one_row')],
            },
        ),
        migrations.RunSQL(SCHEMA.read_text(), migrations.RunSQL.noop),
    ]
