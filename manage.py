#!/usr/bin/env python
"""Django's command line for Flux. `manage.py flux` starts everything."""

import os
import sys

from django.core.management import execute_from_command_line

from flux_project import sentences


def main() -> None:
    sentences.install()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flux_project.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
