import django.db.models.functions.comparison
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Count',
            fields=[
                ('namespace', models.TextField(db_collation='C', primary_key=True, serialize=False)),
                ('entities', models.BigIntegerField()),
                ('updated_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Entity',
            fields=[
                ('id', models.TextField(db_collation='C', primary_key=True, serialize=False)),
                ('namespace', models.TextField()),
                ('properties', models.JSONField()),
                ('size', models.GeneratedField(db_persist=True, expression=models.Func(django.db.models.functions.comparison.Cast('properties', models.TextField()), function='octet_length'), help_text="bytes of the properties' text form", output_field=models.IntegerField())),
                ('version', models.BigIntegerField(help_text='events applied since it was created')),
                ('seq', models.BigIntegerField(help_text='its newest event')),
                ('updated_at', models.DateTimeField()),
            ],
            options={
                'verbose_name_plural': 'entities',
                'indexes': [models.Index(condition=models.Q(('namespace', 'default')), fields=['id'], name='state_entity_default')],
            },
        ),
    ]
