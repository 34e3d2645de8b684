from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='RuntimeConfig',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('rate_limit_enabled', models.BooleanField(default=True)),
                ('rate_limit_per_namespace_per_minute', models.BigIntegerField(default=10000)),
                ('body_size_limit_single_bytes', models.BigIntegerField(default=1048576)),
                ('body_size_limit_batch_bytes', models.BigIntegerField(default=10485760)),
            ],
            options={
                'verbose_name_plural': 'runtime config',
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='namespaces_runtimeconfig_one_row')],
            },
        ),
        migrations.RunSQL(
            "INSERT INTO namespaces_runtimeconfig VALUES (1, true, 10000, 1048576, 10485760)",
            migrations.RunSQL.noop,
        ),
    ]
