"""Every route, on one screen."""

from django.contrib import admin
from django.urls import path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from connectors.views import ConnectorViewSet
from events.views import EventViewSet
from flux_project import views
from namespaces import account_pages, account_tokens, demo_checkout, shop_pages
from namespaces.purchase_views import PurchaseViewSet, StripeWebhook
from namespaces.views import ConfigViewSet, NamespaceViewSet, TokenViewSet
from state import consumers, pages, store, stream
from state.consumers import LiveConsumer
from state.views import EntityViewSet

# Not `<path:…>`: a line break in an id is refused as a bad id (400), not as an unknown
# route.
_ENTITY = r"^api/state/entities/(?P<entity_id>(?s:.+))\Z"

urlpatterns = [
    path("", views.home, name="home"),
    path("live", pages.live, name="live"),
    path("register", shop_pages.register, name="shop_register"),
    path("register/checkout", shop_pages.checkout, name="shop_checkout"),
    path("register/done", shop_pages.done, name="shop_done"),
    path("register/demo/<purchase_id>", demo_checkout.demo_checkout, name="shop_demo"),
    path("account", account_pages.account, name="account"),
    path("account/link", account_pages.ask_for_link, name="account_link"),
    path("account/link-sent", account_pages.link_sent, name="account_link_sent"),
    path("account/sign-in", account_pages.sign_in, name="account_sign_in"),
    path("account/sign-out", account_pages.sign_out, name="account_sign_out"),
    path(
        "account/receipts/<purchase_id>", account_pages.receipt, name="account_receipt"
    ),
    path(
        "account/namespaces/<name>", account_tokens.namespace, name="account_namespace"
    ),
    path(
        "account/namespaces/<name>/delete", account_tokens.delete, name="account_delete"
    ),
    path(
        "account/namespaces/<name>/tokens/new",
        account_tokens.make_token,
        name="account_new_token",
    ),
    path(
        "account/namespaces/<name>/tokens/<token_id>/rotate",
        account_tokens.rotate_token,
        name="account_rotate",
    ),
    path(
        "account/namespaces/<name>/tokens/<token_id>/revoke",
        account_tokens.revoke_token,
        name="account_revoke",
    ),
    path("flux.sh", views.script, name="script"),
    path("metrics", views.MetricsViewSet.as_view({"get": "retrieve"})),
    path("admin/", admin.site.urls),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("api/health", views.HealthViewSet.as_view({"get": "retrieve"})),
    path("api/events", EventViewSet.as_view({"get": "list", "post": "create"})),
    path("api/events/batch", EventViewSet.as_view({"post": "batch"})),
    path("api/state/entities", EntityViewSet.as_view({"get": "list"})),
    path(
        "api/state/entities/delete",
        EntityViewSet.as_view(
            {"post": "delete_matching", "get": "retrieve", "delete": "destroy"}
        ),
        {"entity_id": "delete"},
    ),
    re_path(_ENTITY, EntityViewSet.as_view({"get": "retrieve", "delete": "destroy"})),
    path("api/connectors", ConnectorViewSet.as_view({"get": "list"})),
    path(
        "api/admin/config",
        ConfigViewSet.as_view({"get": "retrieve", "put": "update"}),
    ),
    path("api/namespaces", NamespaceViewSet.as_view({"post": "create"})),
    path(
        "api/namespaces/<name>",
        NamespaceViewSet.as_view(
            {"get": "retrieve", "delete": "destroy"}, entity_count=store.entity_count
        ),
    ),
    path(
        "api/namespaces/<name>/tokens",
        TokenViewSet.as_view({"get": "list", "post": "create"}),
    ),
    path(
        "api/namespaces/<name>/tokens/<token_id>",
        TokenViewSet.as_view({"delete": "destroy"}),
    ),
    path(
        "api/namespaces/<name>/tokens/<token_id>/rotate",
        TokenViewSet.as_view({"post": "rotate"}),
    ),
    path("api/purchases", PurchaseViewSet.as_view({"post": "create"})),
    path("api/purchases/<purchase_id>", PurchaseViewSet.as_view({"get": "retrieve"})),
    path(
        "api/purchases/<purchase_id>/claim", PurchaseViewSet.as_view({"post": "claim"})
    ),
    path("api/billing/stripe/webhook", StripeWebhook.as_view({"post": "create"})),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path(
        "api/docs",
        SpectacularSwaggerSplitView.as_view(
            url_name="schema", template_name="docs.html", title="Flux API"
        ),
        name="docs",
    ),
]

# What is served on the event loop, for as long as its connection lives.
live_routes = {
    ("websocket", "/api/ws"): LiveConsumer.as_asgi(),
    ("http", "/api/stream"): stream.serve,
    ("http", "/api/ws"): consumers.refuse_http,
}

handler404 = "flux_project.api.not_found"
handler500 = "flux_project.api.server_error"
