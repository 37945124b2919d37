"""What a receiver does with the library of Standard Webhooks. Prints what was sent, for the other languages."""

import json
import sys
import time
import urllib.request

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

seed, sink = json.load(open(sys.argv[1])), sys.argv[2]
product, key = seed["base_url"], seed["orgs"]["pro"]["api_key"]


def call(path, body):
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(product + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def sent(event):
    """What the sink received of the event, as soon as it did."""
    for _ in range(1800):
        with urllib.request.urlopen(sink) as answer:
            for it in json.load(answer):
                if it["headers"]["webhook-id"] == event:
                    return it
        time.sleep(0.1)
    raise AssertionError(f"{event} does not arrive")


def refused(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return
    raise AssertionError("it was accepted")


endpoint = call("/v1/webhook-endpoints", {"url": f"{sink}/sdk", "description": "Grüße, 世界"})
path = f"/v1/webhook-endpoints/{endpoint['id']}"
old = endpoint["secret"]
types = [
    "webhook.test", "api_key.created", "member.joined", "generation.completed", "subscription.changed",
]
cases = []
for type in types:
    it = sent(call(f"{path}/test-events", {"type": type})["event_id"])
    assert Webhook(old).verify(it["body"], it["headers"])["type"] == type
    refused(old, it["body"].replace(type, "x"), it["headers"])
    refused(old, it["body"], {**it["headers"], "webhook-id": "x"})
    refused(old, it["body"], {**it["headers"], "webhook-timestamp": str(int(time.time()) - 301)})
    cases.append({**it, "valid": [old], "invalid": []})

new = call(f"{path}/rotations", {"overlap_seconds": 3600})["secret"]
both = sent(call(f"{path}/test-events", {})["event_id"])
Webhook(old).verify(both["body"], both["headers"])
Webhook(new).verify(both["body"], both["headers"])
cases.append({**both, "valid": [old, new], "invalid": []})

newest = call(f"{path}/rotations", {"overlap_seconds": 0})["secret"]
only = sent(call(f"{path}/test-events", {})["event_id"])
Webhook(newest).verify(only["body"], only["headers"])
refused(old, only["body"], only["headers"])
refused(new, only["body"], only["headers"])
cases.append({**only, "valid": [newest], "invalid": [old, new]})

print(json.dumps(cases))
