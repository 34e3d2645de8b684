"""Every setting, in one file, read from the environment and checked at the start."""

from pathlib import Path

from flux_project import env

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("FLUX_DATA_DIR") or BASE_DIR / "var").resolve()

FLUX_VERSION = "0.1.0"
FLUX_AUTH_ENABLED = env.boolean("FLUX_AUTH_ENABLED", default=False)
FLUX_ADMIN_TOKEN = env.text("FLUX_ADMIN_TOKEN")
FLUX_ALLOWED_ORIGINS = env.names("FLUX_ALLOWED_ORIGINS")
FLUX_ALLOWED_HOSTS = env.names("FLUX_ALLOWED_HOSTS")

DEBUG = env.boolean("DEBUG", default=False)
SECRET_KEY = env.text("SECRET_KEY", "insecure-until-start-up-makes-one")
ALLOWED_HOSTS = ["*"]  # flux_project.origins checks the Host header, for every path

DATABASES = {"default": env.database(env.text("DATABASE_URL", "postgresql:///flux"))}

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
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # flux_project.bodies bounds them before Django
REST_FRAMEWORK = {"UNAUTHENTICATED_USER": None, "DEFAULT_AUTHENTICATION_CLASSES": []}
