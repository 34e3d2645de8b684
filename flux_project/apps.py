from django.apps import AppConfig

from flux_project import checks as checks  # importing it registers its checks


class FluxProjectConfig(AppConfig):
    name = "flux_project"
