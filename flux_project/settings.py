"""Every setting, in one file, read from the environment and checked at the start.

`.env.example` lists the variables. What neither the environment nor a `.env` file says
comes from the secrets of the first start (`flux_project.credentials`).
"""

import secrets as random_secrets
from pathlib import Path

from flux_project import admin_theme, credentials, env, places, sentences

sentences.install()

BASE_DIR = Path(__file__).resolve().parent.parent
env.load_file(Path(env.text("FLUX_ENV_FILE") or BASE_DIR / ".env"))

FLUX_VERSION = "0.1.0"
FLUX_DATA_DIR = Path(env.text("FLUX_DATA_DIR") or BASE_DIR / "var").resolve()
FLUX_HOST = env.text("FLUX_HOST") or "127.0.0.1"
PORT = env.integer("PORT", default=3000, low=1, high=65_535)
FLUX_WORKERS = env.integer("FLUX_WORKERS", default=1, low=1, high=64)
FLUX_LANE = env.boolean("FLUX_LANE", default=True)
FLUX_LOG_LEVEL = env.choice(
    "FLUX_LOG_LEVEL", default="info", options=("debug", "info", "warning", "error")
)
FLUX_LOG_FORMAT = env.choice(
    "FLUX_LOG_FORMAT", default="console", options=("console", "json")
)
FLUX_MAX_LISTENERS = env.integer(
    "FLUX_MAX_LISTENERS", default=10_000, low=1, high=1_000_000
)
FLUX_STALL_SECONDS = env.integer("FLUX_STALL_SECONDS", default=60, low=2, high=3_600)
FLUX_METRICS_TOKEN = env.text("FLUX_METRICS_TOKEN")
FLUX_ALLOWED_ORIGINS = env.origins("FLUX_ALLOWED_ORIGINS")
FLUX_ALLOWED_HOSTS = env.hosts("FLUX_ALLOWED_HOSTS")
FLUX_AUTH_ENABLED = env.boolean("FLUX_AUTH_ENABLED", default=False)
FLUX_OPEN_REGISTRATION = env.boolean("FLUX_OPEN_REGISTRATION", default=False)

_secrets = credentials.load(FLUX_DATA_DIR)
FLUX_ADMIN_TOKEN = (
    env.text("FLUX_ADMIN_TOKEN")
    if env.is_set("FLUX_ADMIN_TOKEN") or _secrets is None
    else _secrets.admin_token
)
SECRET_KEY = env.text("SECRET_KEY") or (
    _secrets.secret_key if _secrets else random_secrets.token_urlsafe(48)
)

DEBUG = env.boolean("DEBUG", default=False)
ALLOWED_HOSTS = ["*"]  # flux_project.gate checks the Host header, for every path

# A pool per process, so that a rush of requests waits instead of running the server out
# of connections. The committer, the readers and the feed own theirs, beside it.
DATABASE_POOL_SIZE = 10
DATABASE_OWN_CONNECTIONS = 14
FLUX_EMBEDDED = not env.text("DATABASE_URL")
FLUX_PLACES = places.locate(FLUX_DATA_DIR)
DATABASES = {
    "default": (
        places.database(FLUX_PLACES, _secrets.database_password if _secrets else "")
        if FLUX_EMBEDDED
        else env.database(env.text("DATABASE_URL"))
    )
}
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"]["OPTIONS"]["pool"] = {
    "min_size": 0,
    "max_size": DATABASE_POOL_SIZE,
    "timeout": 5,
}

LOGGING_CONFIG = "flux_project.logs.configure"
LOGGING = {"level": FLUX_LOG_LEVEL, "format": FLUX_LOG_FORMAT}

INSTALLED_APPS = [
    "daphne",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "flux_project",
    "namespaces",
    "events",
    "state",
    "connectors",
]
MIDDLEWARE = [
    "flux_project.api.without_pages",
    "django.middleware.security.SecurityMiddleware",
    "flux_project.csp.PolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "flux_project.observed.note_route",
    # Last: it is synchronous, so Django runs all of these in one thread instead of
    # going to one for each (measured: 1.5 ms of CPU a request instead of 1.9).
    "flux_project.assets.AssetMiddleware",
]
ROOT_URLCONF = "flux_project.urls"
ASGI_APPLICATION = "flux_project.asgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # no collectstatic, see flux_project.assets
WHITENOISE_ALLOW_ALL_ORIGINS = False  # the gate decides about origins
CONTENT_SECURITY_POLICY = {  # flux_project.csp says where more is allowed
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # flux_project.bodies bounds them before Django
FILE_UPLOAD_MAX_MEMORY_SIZE = 300 << 20  # bodies are bounded: none goes to a disk
REST_FRAMEWORK: dict[str, object] = {
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "flux_project.api.handle_exception",
}
SPECTACULAR_SETTINGS: dict[str, object] = {
    "TITLE": "Flux",
    "DESCRIPTION": "A persistent, shared, event-sourced world-state engine.",
    "VERSION": FLUX_VERSION,
    "OAS_VERSION": "3.1.0",
    "POSTPROCESSING_HOOKS": ["flux_project.openapi.finish"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "/static/flux.svg",
    # The validator would be a web service elsewhere.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
}
UNFOLD: dict[str, object] = {
    "SITE_TITLE": "Flux",
    "SITE_HEADER": "Flux",
    "SITE_SUBHEADER": "world-state engine",
    "SITE_URL": "/",
    "SITE_SYMBOL": "waves",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "/static/flux.svg"}
    ],
    "SHOW_HISTORY": False,
    "STYLES": ["/static/admin.css"],
    "COLORS": admin_theme.COLORS,
    "SIDEBAR": admin_theme.SIDEBAR,
}
