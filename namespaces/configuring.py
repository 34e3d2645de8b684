"""The runtime config, changed by an operator: one transaction, with its audit entry."""

from typing import Any

from namespaces import audit, change, config
from namespaces.audit import Actor
from namespaces.models import RuntimeConfig


def put(wanted: dict[str, Any], actor: Actor) -> config.Config:
    """Puts values of the runtime config in force, checked by `config.checked`.

    The audit entry has those that changed.
    """
    with change.transaction():
        stored = RuntimeConfig.objects.select_for_update().get()
        before = {name: getattr(stored, name) for name in wanted}
        changed = {
            name: wanted[name] for name in wanted if wanted[name] != before[name]
        }
        for name, value in changed.items():
            setattr(stored, name, value)
        if changed:
            stored.save(update_fields=list(changed))
            audit.record(
                actor,
                "config.change",
                "runtime config",
                before={name: before[name] for name in changed},
                after=changed,
            )
            change.tell_all()
    return config.take(stored)
