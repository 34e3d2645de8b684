"""`manage.py flux_rebuild`: derive the state anew from the log (docs/operations.md)."""

import signal
import sys

from django.core.management.base import BaseCommand

from flux_project.errors import FluxError
from flux_project.progress import Meter
from state.rebuild import rebuild

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


class Command(BaseCommand):
    """A server may go on reading and writing meanwhile."""

    help = "Derive the state anew from the log, and put it in place of the live one."
    requires_system_checks = ()

    def handle(self, *args: object, **given: object) -> None:
        # Whoever asks it to end means what Ctrl-C means: clean up first.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with Meter(sys.stderr) as meter:
                rebuilt = rebuild(meter)
        except FluxError as error:
            self.stderr.write(error.message)
            sys.exit(EXIT_FAILED)
        except KeyboardInterrupt:
            self.stderr.write("Interrupted; the live state is as it was.")
            sys.exit(EXIT_INTERRUPTED)
        self.stdout.write(
            f"{rebuilt.entities:,} entities derived from {rebuilt.seq:,} events are in "
            f"place; writers waited {1000 * rebuilt.held_seconds:.0f} ms."
        )
