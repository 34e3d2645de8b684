"""The product's settings on the tests' own database, whatever the developer has set."""

import os

from tests.support import session

_environment = session.environment()
os.environ.clear()
os.environ.update(_environment)

from flux_project.settings import *  # noqa: E402, F403  read after the lines above

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick
