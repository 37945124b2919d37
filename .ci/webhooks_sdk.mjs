// What a receiver does with the library of Standard Webhooks, on what was sent.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const cases = JSON.parse(readFileSync(process.argv[2], "utf8"));
assert.ok(cases.length > 3);
for (const { body, headers, valid, invalid } of cases) {
  for (const secret of valid) {
    assert.deepEqual(new Webhook(secret).verify(body, headers), JSON.parse(body));
    assert.throws(() => new Webhook(secret).verify(`${body} `, headers));
  }
  for (const secret of invalid) assert.throws(() => new Webhook(secret).verify(body, headers));
}
