import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('namespaces', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), db_index=True)),
                ('actor', models.TextField(help_text='who: a user, a token, the admin token, …')),
                ('channel', models.TextField(help_text='how: admin, api or command')),
                ('address', models.TextField(default='', help_text='from where')),
                ('action', models.TextField(help_text='what, such as namespace.suspend')),
                ('target', models.TextField(help_text='of what: a namespace, a token, …')),
                ('before', models.JSONField(null=True)),
                ('after', models.JSONField(null=True)),
            ],
            options={
                'verbose_name_plural': 'audit log',
            },
        ),
        migrations.CreateModel(
            name='Bucket',
            fields=[
                ('namespace', models.TextField(db_collation='C', primary_key=True, serialize=False)),
                ('spent', models.BigIntegerField()),
                ('at', models.DateTimeField(help_text='when so much was spent')),
            ],
        ),
        migrations.CreateModel(
            name='Namespace',
            fields=[
                ('id', models.TextField(db_collation='C', primary_key=True, serialize=False)),
                ('name', models.TextField(db_collation='C', unique=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('suspended_at', models.DateTimeField(null=True)),
                ('suspended_because', models.TextField(db_default='', default='')),
                ('deleted_at', models.DateTimeField(null=True)),
                ('version', models.BigIntegerField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name='Usage',
            fields=[
                ('pk', models.CompositePrimaryKey('namespace', 'hour', blank=True, editable=False, primary_key=True, serialize=False)),
                ('namespace', models.TextField(db_collation='C')),
                ('hour', models.DateTimeField()),
                ('events', models.BigIntegerField(default=0)),
                ('refused', models.BigIntegerField(default=0)),
            ],
            options={
                'verbose_name_plural': 'usage',
                'indexes': [models.Index(fields=['hour'], name='namespaces_usage_hour')],
            },
        ),
        migrations.AddField(
            model_name='runtimeconfig',
            name='failed_tokens_per_address_per_minute',
            field=models.BigIntegerField(default=600),
        ),
        migrations.AddField(
            model_name='runtimeconfig',
            name='registrations_per_address_per_hour',
            field=models.BigIntegerField(default=60),
        ),
        migrations.CreateModel(
            name='Token',
            fields=[
                ('id', models.TextField(db_collation='C', primary_key=True, serialize=False)),
                ('label', models.TextField()),
                ('scopes', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ('prefix', models.TextField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('expires_at', models.DateTimeField(null=True)),
                ('last_used_at', models.DateTimeField(null=True)),
                ('revoked_at', models.DateTimeField(null=True)),
                ('version', models.BigIntegerField(db_index=True)),
                ('namespace', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='tokens', to='namespaces.namespace')),
            ],
            options={
                'indexes': [models.Index(fields=['namespace'], name='namespaces_token_ns')],
            },
        ),
        migrations.CreateModel(
            name='Secret',
            fields=[
                ('digest', models.BinaryField(max_length=32, primary_key=True, serialize=False)),
                ('made_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('valid_until', models.DateTimeField(null=True)),
                ('token', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='secrets', to='namespaces.token')),
            ],
            options={
                'indexes': [models.Index(fields=['token'], name='namespaces_secret_token')],
            },
        ),
        migrations.CreateModel(
            name='UsageCursor',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('seq', models.BigIntegerField(default=0)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='namespaces_usagecursor_one_row')],
            },
        ),
    ]
