from django.apps import AppConfig


class FluxProjectConfig(AppConfig):
    name = "flux_project"
