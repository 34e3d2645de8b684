"""Every setting, in one file, read from the environment and checked at the start.

`.env.example` lists the variables. What neither the environment nor a `.env` file says
comes from the secrets of the first start (`flux_project.credentials`).
"""

import secrets as random_secrets
from datetime import timedelta
from pathlib import Path

from flux_project import (
    admin_theme,
    credentials,
    env,
    lockout_limits,
    origins,
    places,
    selling,
    sentences,
)

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
FLUX_PUBLIC_URL = env.site("FLUX_PUBLIC_URL")
FLUX_TRUSTED_PROXIES = env.networks("FLUX_TRUSTED_PROXIES")
_PUBLIC_HOST = FLUX_PUBLIC_URL.partition("://")[2]
if _PUBLIC_HOST and (FLUX_ALLOWED_HOSTS or not FLUX_AUTH_ENABLED):
    # Where a list says which names are served, this one is among them.
    FLUX_ALLOWED_HOSTS.append(origins.host_name(_PUBLIC_HOST))

_secrets = credentials.load(FLUX_DATA_DIR)
# Open mode is for one machine; there, what an operator chose is not judged.
FLUX_ADMIN_TOKEN = (
    env.secret("FLUX_ADMIN_TOKEN", least=16 if FLUX_AUTH_ENABLED else 0)
    if env.is_set("FLUX_ADMIN_TOKEN") or _secrets is None
    else _secrets.admin_token
)
SECRET_KEY = env.secret("SECRET_KEY", least=32 if FLUX_AUTH_ENABLED else 0) or (
    _secrets.secret_key if _secrets else random_secrets.token_urlsafe(48)
)

DEBUG = env.boolean("DEBUG", default=False)

_selling = selling.read(is_auth=FLUX_AUTH_ENABLED, debug=DEBUG)
FLUX_BILLING = _selling.kind
FLUX_PRICE = _selling.price
FLUX_STRIPE_SECRET_KEY = _selling.stripe_key
FLUX_STRIPE_WEBHOOK_SECRET = _selling.stripe_webhook_secret
FLUX_STRIPE_API = _selling.stripe_api
FLUX_CONTACT = selling.contact()
_mail = selling.mail()
EMAIL_BACKEND = _mail.backend
EMAIL_HOST, EMAIL_PORT = _mail.host, _mail.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail.user, _mail.password
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.use_tls, _mail.use_ssl
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = SERVER_EMAIL = selling.email_from(FLUX_PUBLIC_URL)
# Sign-in links of owners (namespaces.owners), which carry no password.
SESAME_TOKENS = ["sesame.tokens_v2"]
SESAME_PACKER = "sesame.packers.UnsignedLongLongPacker"
SESAME_MAX_AGE = timedelta(minutes=15)
SESAME_ONE_TIME = True
SESAME_INVALIDATE_ON_PASSWORD_CHANGE = False
SESAME_SIGNATURE_SIZE = 16

ALLOWED_HOSTS = ["*"]  # flux_project.gate checks the Host header, for every path

# Behind a proxy that speaks TLS, whose X-Forwarded-Proto says whether a browser does.
_is_https = FLUX_PUBLIC_URL.startswith("https://")
SECURE_SSL_REDIRECT = _is_https
SECURE_SSL_HOST = _PUBLIC_HOST
# A program that was sent on would go on sending its token in clear first.
SECURE_REDIRECT_EXEMPT = ["^api/", "^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if _is_https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _is_https
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _is_https
CSRF_TRUSTED_ORIGINS = [FLUX_PUBLIC_URL] if FLUX_PUBLIC_URL else []

# A pool per process, so that a rush of requests waits instead of running the server out
# of connections. The committer, the readers and the feed own theirs, beside it.
DATABASE_POOL_SIZE = 10
DATABASE_OWN_CONNECTIONS = 15
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
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "axes",
    "procrastinate.contrib.django",
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
    "axes.middleware.AxesMiddleware",
    "flux_project.observed.note_route",
    "flux_project.admin_pages.AwayMiddleware",
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
                "namespaces.shop_site.navigation",
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
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: it refuses who is locked out
    "flux_project.roles.RoleBackend",
]
# flux_project.lockout says what these mean; the address is the connection's.
AXES_HANDLER = "flux_project.lockout.Handler"
AXES_LOCKOUT_CALLABLE = "flux_project.lockout.page"
AXES_LOCKOUT_PARAMETERS = lockout_limits.COUNTED_BY
AXES_FAILURE_LIMIT = lockout_limits.MOST_PER_ACCOUNT
AXES_COOLOFF_TIME = timedelta(minutes=lockout_limits.LOCKED_MINUTES)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_USERNAME_CALLABLE = "flux_project.lockout_limits.username"
AXES_CLIENT_IP_CALLABLE = "flux_project.lockout_limits.address"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
# The admin's session: for its own pages alone, unreadable for scripts, a working day.
SESSION_COOKIE_AGE = 10 * 3_600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Strict"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
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
    "DASHBOARD_CALLBACK": "flux_project.dashboard.fill",
    "COLORS": admin_theme.COLORS,
    "SIDEBAR": admin_theme.SIDEBAR,
}
