// What an application does with the official SDK; only its host differs from Stripe's.
import assert from "node:assert/strict";
import Stripe from "stripe";

const [simulator, product] = process.argv.slice(2);
const address = new URL(simulator);
const options = {
  host: address.hostname,
  port: Number(address.port),
  protocol: "http",
  maxNetworkRetries: 0,
  telemetry: false,
};
const stripe = new Stripe("sk_test_simulator", options);

const control = async (path, body) => {
  const answer = await fetch(`${simulator}/_simulator/${path}`, { method: "POST", body: JSON.stringify(body) });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer.status === 204 ? null : answer.json();
};
const refused = (kind, call, expected) =>
  assert.rejects(call, (error) => {
    assert.ok(error instanceof kind, `${error.type}: ${error.message}`);
    for (const [field, value] of Object.entries(expected)) assert.equal(error[field], value, field);
    return true;
  });
const { errors } = Stripe;

// Create, update, list with pages, delete.
const made = [];
for (let n = 0; n < 7; n++) made.push(await stripe.customers.create({ name: `Node ${n}`, metadata: { n } }));
const updated = await stripe.customers.update(made[0].id, { email: "ada@example.com", metadata: { n: "" } });
assert.deepEqual([updated.email, updated.metadata], ["ada@example.com", {}]);
const seen = [];
for await (const customer of stripe.customers.list({ limit: 3 })) {
  seen.push(customer.id);
  if (seen.length === 7) break;
}
assert.deepEqual(seen, made.map((one) => one.id).reverse());
assert.equal((await stripe.customers.del(made[6].id)).deleted, true);

// Idempotency.
const once = { idempotencyKey: "node-once" };
const first = await stripe.customers.create({ name: "Once" }, once);
const again = await stripe.customers.create({ name: "Once" }, once);
assert.equal(first.id, again.id);
assert.equal(again.lastResponse.headers["idempotent-replayed"], "true");
await refused(errors.StripeIdempotencyError, () => stripe.customers.create({ name: "Twice" }, once), { statusCode: 400 });
const racing = await Promise.allSettled(
  Array.from({ length: 10 }, () => stripe.customers.create({ name: "Race" }, { idempotencyKey: "node-race" })),
);
const winners = new Set(racing.filter((one) => one.status === "fulfilled").map((one) => one.value.id));
assert.equal(winners.size, 1);

// Errors as typed exceptions.
await refused(errors.StripeInvalidRequestError, () => stripe.customers.retrieve("cus_none"), { code: "resource_missing", statusCode: 404 });
await refused(errors.StripeAuthenticationError, () => new Stripe("sk_test_wrong", options).customers.list(), { statusCode: 401 });
for (const [status, kind] of [
  [402, errors.StripeCardError],
  [429, errors.StripeRateLimitError],
  [500, errors.StripeAPIError],
]) {
  await control("faults", { path: "/v1/customers", times: 1, trouble: "status", status });
  await refused(kind, () => stripe.customers.create({}), { statusCode: status });
}
// The SDK tries a closed connection once more by itself.
await control("faults", { path: "/v1/customers", times: 2, trouble: "reset" });
await refused(errors.StripeConnectionError, () => stripe.customers.create({}), {});

// Checkout with a promotion code, paid on the page.
const price = await stripe.prices.create({
  currency: "usd",
  unit_amount: 4900,
  recurring: { interval: "month" },
  product_data: { name: "Pro" },
  lookup_key: "node-pro-month",
});
const coupon = await stripe.coupons.create({ amount_off: 900, currency: "usd", duration: "forever" });
await stripe.promotionCodes.create({ promotion: { type: "coupon", coupon: coupon.id }, code: "NODE" });
const session = await stripe.checkout.sessions.create({
  mode: "subscription",
  customer: made[1].id,
  line_items: [{ price: price.id, quantity: 2 }],
  allow_promotion_codes: true,
  success_url: "http://127.0.0.1:9/thanks",
});
const form = new URLSearchParams({ card: "accepted", code: "node" });
const payment = await fetch(session.url, { method: "POST", body: form, redirect: "manual" });
assert.equal(payment.status, 303);
const bought = await stripe.checkout.sessions.retrieve(session.id, { expand: ["subscription.latest_invoice", "line_items"] });
assert.equal(bought.amount_total, 8900);
assert.equal(bought.subscription.status, "active");
assert.equal(bought.subscription.latest_invoice.amount_paid, 8900);
assert.equal(bought.line_items.data[0].quantity, 2);

// Plan change: what the preview says is what it costs.
const item = bought.subscription.items.data[0].id;
const change = { items: [{ id: item, quantity: 5 }], proration_behavior: "always_invoice" };
const preview = await stripe.invoices.createPreview({ subscription: bought.subscription.id, subscription_details: change });
const changed = await stripe.subscriptions.update(bought.subscription.id, { ...change, expand: ["latest_invoice"] });
assert.equal(changed.latest_invoice.amount_paid, preview.amount_due);
const leaving = await stripe.subscriptions.update(bought.subscription.id, { cancel_at_period_end: true });
assert.equal(leaving.cancel_at, leaving.items.data[0].current_period_end);
assert.equal((await stripe.subscriptions.cancel(bought.subscription.id)).status, "canceled");

// Signatures: the product takes what the SDK signs, and the SDK what the simulator's endpoints would get.
const payload = JSON.stringify({ id: "evt_by_node", type: "customer.created", livemode: false, data: { object: {} } });
const header = stripe.webhooks.generateTestHeaderString({ payload, secret: "whsec_simulator" });
const send = (signature) =>
  fetch(`${product}/v1/webhooks/stripe`, { method: "POST", body: payload, headers: { "stripe-signature": signature } });
assert.equal((await send(header)).status, 200);
assert.equal((await send(header.replace("v1=", "v0="))).status, 400);
const other = stripe.webhooks.generateTestHeaderString({ payload, secret: "whsec_other" });
assert.equal((await send(other)).status, 400);
assert.equal(stripe.webhooks.constructEvent(payload, header, "whsec_simulator").id, "evt_by_node");

const events = await stripe.events.list({ types: ["customer.subscription.deleted"], limit: 1 });
assert.equal(events.data[0].data.object.id, bought.subscription.id);

console.log("the official Stripe SDK for JavaScript: objects, pages, idempotency, errors, checkout, plan change, signatures: 1 passed, 0 failed");
