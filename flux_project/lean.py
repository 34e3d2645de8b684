"""Django for the processes that Flux starts itself.

daphne's app is for its `runserver`. Its libraries (Twisted, Autobahn) would take 20 MB
of each process, and a quarter of a second of its start.
"""

import os

import django
from django.conf import settings


def choose_settings() -> None:
    """Before anything else, as settings are read when they are first needed."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flux_project.settings")


def set_up() -> None:
    """`django.setup()`, without what nothing here serves with."""
    settings.INSTALLED_APPS = [
        app for app in settings.INSTALLED_APPS if app != "daphne"
    ]
    django.setup()
