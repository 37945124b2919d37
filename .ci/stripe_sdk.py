"""What an application does with the official SDK; only its base address differs from Stripe's."""

import hashlib
import hmac
import http.server
import json
import queue
import sys
import threading
import time
import urllib.error
import urllib.request

import stripe

simulator, product = sys.argv[1:]
client = stripe.StripeClient(
    "sk_test_simulator", base_addresses={"api": simulator}, max_network_retries=0
)
api = client.v1


def control(where, **body):
    request = urllib.request.Request(f"{simulator}/_simulator/{where}", json.dumps(body).encode())
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or b"null")


def refused(kind, call, **expected):
    """The call must be refused with that exception of the SDK's."""
    try:
        call()
    except kind as error:
        for field, value in expected.items():
            assert getattr(error, field) == value, (field, getattr(error, field), error)
        return error
    raise AssertionError(f"expected {kind.__name__}")


# An endpoint of our own, for what the simulator sends.
inbox = queue.Queue()


class Inbox(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        inbox.put((body, self.headers["stripe-signature"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Inbox)
threading.Thread(target=server.serve_forever, daemon=True).start()
endpoint = api.webhook_endpoints.create(
    {"url": f"http://127.0.0.1:{server.server_port}/", "enabled_events": ["customer.created", "invoice.paid"]}
)
assert endpoint.secret.startswith("whsec_")
assert "secret" not in api.webhook_endpoints.retrieve(endpoint.id)

# Create, update, retrieve, list with pages, delete.
made = [api.customers.create({"email": f"{n}@example.com", "metadata": {"n": str(n)}}) for n in range(12)]
first = api.customers.update(made[0].id, {"name": "Ada", "metadata": {"n": "", "org": "1"}})
assert first.name == "Ada" and first.metadata.to_dict() == {"org": "1"}, first
ids = [customer.id for customer in api.customers.list({"limit": 5}).auto_paging_iter()]
assert [one.id for one in reversed(made)] == ids[:12], ids
page = api.customers.list({"limit": 3, "starting_after": made[6].id})
assert [one.id for one in page.data] == [made[5].id, made[4].id, made[3].id] and page.has_more
back = api.customers.list({"limit": 3, "ending_before": made[6].id})
assert [one.id for one in back.data] == [made[9].id, made[8].id, made[7].id] and back.has_more
assert api.customers.delete(made[11].id).deleted
assert api.customers.retrieve(made[11].id).deleted

# Signatures: what the simulator signs, the SDK verifies; what the SDK's scheme signs, the product does.
body, signature = inbox.get(timeout=180)
event = client.construct_event(body, signature, endpoint.secret)
assert (event.type, event.data.object.id) == ("customer.created", made[0].id), event
refused(stripe.SignatureVerificationError, lambda: client.construct_event(body + b" ", signature, endpoint.secret))
refused(stripe.SignatureVerificationError, lambda: client.construct_event(body, signature, "whsec_other"))


def send_to_product(payload, at, secret="whsec_simulator"):
    signed = hmac.new(secret.encode(), f"{at}.{payload}".encode(), hashlib.sha256).hexdigest()
    header = f"t={at},v1={signed}"
    if secret == "whsec_simulator":
        assert stripe.WebhookSignature.verify_header(payload, header, secret)
    request = urllib.request.Request(
        f"{product}/v1/webhooks/stripe", payload.encode(), {"stripe-signature": header}
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


sent = json.dumps({"id": "evt_by_hand", "type": "customer.created", "livemode": False, "data": {"object": {}}})
now = int(time.time())
assert send_to_product(sent, now) == 200
assert send_to_product(sent, now - 301) == 400
assert send_to_product(sent, now, "whsec_other") == 400

# Idempotency.
once = {"idempotency_key": "python-once"}
one = api.customers.create({"name": "Once"}, once)
same = api.customers.create({"name": "Once"}, once)
assert one.id == same.id
assert same.last_response.headers["idempotent-replayed"] == "true"
refused(stripe.IdempotencyError, lambda: api.customers.create({"name": "Twice"}, once), http_status=400)

# Errors as typed exceptions.
refused(stripe.InvalidRequestError, lambda: api.customers.retrieve("cus_none"), code="resource_missing", http_status=404)
refused(stripe.InvalidRequestError, lambda: api.prices.create({"currency": "usd", "colour": "red"}), http_status=400)
stranger = stripe.StripeClient("sk_test_wrong", base_addresses={"api": simulator})
refused(stripe.AuthenticationError, lambda: stranger.v1.customers.list(), http_status=401)
for status, kind in [(402, stripe.CardError), (409, stripe.APIError), (429, stripe.RateLimitError), (500, stripe.APIError)]:
    control("faults", path="/v1/customers", times=1, trouble="status", status=status)
    refused(kind, lambda: api.customers.create({}), http_status=status)
control("faults", path="/v1/customers", times=1, trouble="reset")
refused(stripe.APIConnectionError, lambda: api.customers.create({}))
patient = stripe.StripeClient("sk_test_simulator", base_addresses={"api": simulator}, max_network_retries=2)
before = len(list(api.customers.list({"limit": 100}).auto_paging_iter()))
control("faults", path="/v1/customers", times=1, trouble="drop_answer")
patient.v1.customers.create({"name": "Retried"})
assert len(list(api.customers.list({"limit": 100}).auto_paging_iter())) == before + 1, "a retry made two"

# A catalogue, and prices found by their keys.
product_of = api.products.create({"name": "Pro", "metadata": {"plan": "pro"}})
monthly = api.prices.create(
    {"product": product_of.id, "currency": "usd", "unit_amount": 4900, "recurring": {"interval": "month"}, "lookup_key": "py-pro-month"}
)
small = api.prices.create({"product": product_of.id, "currency": "usd", "unit_amount": 1900, "recurring": {"interval": "month"}})
assert api.prices.list({"lookup_keys": ["py-pro-month"], "expand": ["data.product"]}).data[0].product.name == "Pro"
moved = api.prices.create(
    {"product": product_of.id, "currency": "usd", "unit_amount": 5900, "recurring": {"interval": "month"}, "lookup_key": "py-pro-month", "transfer_lookup_key": True}
)
assert api.prices.list({"lookup_keys": ["py-pro-month"]}).data[0].id == moved.id
assert api.prices.retrieve(monthly.id).lookup_key is None

# A year of a subscription on a test clock: trial, upgrade, a card that fails, a refund, a dispute.
start = now - now % 86400
clock = api.test_helpers.test_clocks.create({"frozen_time": start, "name": "a year"})
payer = api.customers.create(
    {
        "test_clock": clock.id,
        "payment_method": "pm_card_visa",
        "invoice_settings": {"default_payment_method": "pm_card_visa"},
        "tax_id_data": [{"type": "eu_vat", "value": "DE123456789"}],
    }
)


def wait(days):
    advanced = api.test_helpers.test_clocks.advance(clock.id, {"frozen_time": start + days * 86400})
    assert advanced.status == "ready"


coupon = api.coupons.create({"percent_off": 50, "duration": "once"})
code = api.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "PYTHON", "max_redemptions": 1})
subscription = api.subscriptions.create(
    {
        "customer": payer.id,
        "items": [{"price": small.id}],
        "trial_period_days": 14,
        "discounts": [{"promotion_code": code.id}],
        "expand": ["latest_invoice", "discounts"],
    }
)
assert subscription.status == "trialing" and subscription.latest_invoice.total == 0, subscription
assert subscription.discounts[0].source.coupon == coupon.id
assert not api.promotion_codes.retrieve(code.id).active
wait(20)
paid = api.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice.payments"]})
assert paid.status == "active" and paid.latest_invoice.amount_paid == 950, paid.latest_invoice
item = paid["items"].data[0]
change = {"items": [{"id": item.id, "price": moved.id}], "proration_behavior": "always_invoice"}
preview = api.invoices.create_preview({"subscription": subscription.id, "subscription_details": change})
upgraded = api.subscriptions.update(subscription.id, {**change, "expand": ["latest_invoice"]})
assert upgraded.latest_invoice.amount_due == preview.amount_due > 0, (preview, upgraded)
control("card", customer=payer.id, card="declined")
wait(50)
assert api.subscriptions.retrieve(subscription.id).status == "past_due"
late = api.invoices.list({"subscription": subscription.id, "status": "open"}).data[0]
assert late.customer_tax_ids[0].value == "DE123456789" and late.hosted_invoice_url and late.invoice_pdf
refused(stripe.CardError, lambda: api.invoices.pay(late.id), code="card_declined")
control("card", customer=payer.id, card="accepted")
assert api.invoices.pay(late.id).status == "paid"
wait(365)
invoices = list(api.invoices.list({"customer": payer.id}).auto_paging_iter())
assert len([one for one in invoices if one.status == "paid"]) == 14, [one.status for one in invoices]

charges = list(api.charges.list({"customer": payer.id}).auto_paging_iter())
refund = api.refunds.create({"charge": charges[0].id, "amount": 900, "reason": "requested_by_customer"})
assert api.charges.retrieve(charges[0].id).amount_refunded == 900 and refund.status == "succeeded"
refused(stripe.InvalidRequestError, lambda: api.refunds.create({"charge": charges[0].id, "amount": 10**6}), param="amount")
dispute = control("disputes", charge=charges[1].id)
assert api.disputes.retrieve(dispute["id"]).status == "needs_response"
assert api.disputes.update(dispute["id"], {"evidence": {"uncategorized_text": "used"}}).status == "under_review"
control("verdicts", dispute=dispute["id"], verdict="won")
assert [one.type for one in api.balance_transactions.list({"source": dispute["id"]}).data] == ["adjustment"] * 2
note = api.credit_notes.create({"invoice": invoices[2].id, "credit_amount": 500})
assert api.customers.retrieve(payer.id).balance == -500 and note.status == "issued"

# The portal, meters, and events of one type.
portal = api.billing_portal.sessions.create({"customer": payer.id, "return_url": "http://127.0.0.1:9/"})
with urllib.request.urlopen(portal.url) as answer:
    assert b"Your subscription" in answer.read()
meter = api.billing.meters.create(
    {"display_name": "Calls", "event_name": "py_calls", "default_aggregation": {"formula": "sum"}}
)
usage = {"event_name": "py_calls", "identifier": "py-1", "payload": {"stripe_customer_id": payer.id, "value": "25"}}
assert api.billing.meter_events.create(usage).identifier == "py-1"
refused(stripe.InvalidRequestError, lambda: api.billing.meter_events.create(usage), code="duplicate_meter_event")
renewals = list(api.events.list({"types": ["invoice.paid"], "limit": 5}).auto_paging_iter())
assert len(renewals) >= 14 and {event.type for event in renewals} == {"invoice.paid"}

print("the official Stripe SDK for Python: objects, pages, signatures, idempotency, errors, a year on a test clock: 1 passed, 0 failed")
