from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('namespaces', '0005_shop_indexes'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='providerevent',
            index=models.Index(condition=models.Q(('handled_at__isnull', False), ('purchase', None)), fields=['received_at', 'id'], name='namespaces_event_stranger'),
        ),
        migrations.AddIndex(
            model_name='purchase',
            index=models.Index(condition=models.Q(models.Q(('trouble', ''), _negated=True), ('disputed_at__isnull', False), ('state', 'paid'), _connector='OR'), fields=['created_at', 'id'], name='namespaces_purchase_odd'),
        ),
        migrations.AddIndex(
            model_name='purchase',
            index=models.Index(condition=models.Q(('paid_at__isnull', False)), fields=['paid_at'], include=('provider', 'currency', 'amount', 'refunded'), name='namespaces_purchase_taken'),
        ),
    ]
