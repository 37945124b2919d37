"""A day of a small team: three people, roles, projects, uploads, generations, sharing, an export, help, a deletion.

Only Python's standard library, so that it does nothing but what any HTTP client can do. It waits where it is told to
(429), as a client should.
"""

import base64
import hashlib
import hmac
import io
import json
import struct
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib

seed = json.load(open(sys.argv[1]))
PRODUCT, MAILBOX = seed["base_url"], seed["simulators"]["mailbox"]
PASSWORD = "a long and winding passphrase"
PATIENCE = 240


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __getitem__(self, name):
        return self.json[name]

    def is_problem(self, status, code):
        told = (self.status, self.json.get("code"))
        assert told == (status, code), f"{told} instead of {(status, code)}: {self.body[:500]}"


def call(method, address, body=None, token=None, org=None, expect=None, **headers):
    """One request; an expected failure is named, any other ends the day."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        headers["authorization"] = f"Bearer {token}"
    if org:
        headers["x-slipway-org"] = org
    if body is not None and not isinstance(body, bytes):
        headers["content-type"] = "application/json"
        body = json.dumps(body).encode()
    if not address.startswith("http"):
        address = PRODUCT + address
    deadline = time.monotonic() + PATIENCE
    while True:
        request = urllib.request.Request(address, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                found = Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            found = Answer(error.code, error.headers, error.read())
        if found.status == 429 and expect != 429 and time.monotonic() < deadline:
            time.sleep(int(found.headers.get("retry-after", "1")))
            continue
        break
    as_expected = found.status < 400 if expect is None else found.status == expect
    assert as_expected, f"{method} {address}: {found.status} {found.body[:500]}"
    return found


def eventually(what, ask):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = ask()
        if found:
            return found
        time.sleep(1)
    raise AssertionError(f"in vain: {what}")


def mailed(address, part):
    """The newest link with `part` that was mailed to `address`."""

    def look():
        messages = call("GET", f"{MAILBOX}/api/messages?to={urllib.parse.quote(address)}").json
        links = [link for message in messages for link in message["links"] if part in link]
        return links[-1] if links else None

    return eventually(f"a mail to {address} with {part}", look)


class Person:
    """Somebody who is signed in, and acts in the team's organization."""

    def __init__(self, email, org=None):
        self.email, self.org = email, org
        session = call("POST", "/v1/sessions", {"email": email, "password": PASSWORD})
        self.token = session["access_token"]

    def __call__(self, method, path, body=None, expect=None, **headers):
        return call(method, path, body, self.token, self.org, expect, **headers)


def register(name):
    email = f"{name.lower()}-{time.time_ns()}@example.com"
    call("POST", "/v1/users", {"email": email, "password": PASSWORD, "name": name})
    form = urllib.parse.urlencode({"password": PASSWORD}).encode()
    link = mailed(email, "/v1/email-verifications/")
    call("POST", link, form, content_type="application/x-www-form-urlencoded")
    return email


def step(text):
    print(f"  {text}", flush=True)


def job_done(person, job):
    def look():
        found = person("GET", f"/v1/jobs/{job}").json
        return found if found["status"] not in ("queued", "running") else None

    found = eventually(f"the end of job {job}", look)
    assert found["status"] == "succeeded", found
    return person("GET", f"/v1/jobs/{job}/items").json


def totp(url):
    query = urllib.parse.parse_qs(urllib.parse.urlparse(url).query)
    secret = query["secret"][0]
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


step("Ada, who owns a team on the plan pro, invites Bob to work and Eve to look")
ada = Person(seed["orgs"]["pro"]["email"])
ada.org = seed["orgs"]["pro"]["id"]
assert ada("GET", "/v1/org")["id"] == ada.org
team = {}
for name, role in (("Bob", "member"), ("Eve", "viewer")):
    email = register(name)
    ada("POST", "/v1/invitations", {"email": email, "role": role})
    person = Person(email)
    token = mailed(email, "/v1/invitation-links/").rsplit("/", 1)[1]
    person("POST", f"/v1/invitation-links/{token}", {})
    person.org = ada.org
    team[name] = person
bob, eve = team["Bob"], team["Eve"]
members = {member["email"]: member for member in ada("GET", "/v1/members")["items"]}
assert {bob.email, eve.email, ada.email} == set(members), members

step("Each does what their role may, and no more")
apollo = bob("POST", "/v1/projects", {"name": "Apollo", "text": "To the moon", "folder": "Space"})
project = f"/v1/projects/{apollo['id']}"
assert eve("GET", project)["name"] == "Apollo"
eve("POST", "/v1/projects", {"name": "Mine"}, expect=403).is_problem(403, "forbidden")
bob("POST", "/v1/invitations", {"email": "x@example.com", "role": "viewer"}, expect=403)
stranger = Person(seed["orgs"]["free"]["email"])
stranger("GET", project, expect=404)

step("Ada and Bob change the same project: the second is told, and nothing is lost")
etag = apollo.headers["etag"]
changed = ada("PATCH", project, {"text": "To the moon and back"}, if_match=etag)
bob("PATCH", project, {"text": "To Mars"}, expect=412, if_match=etag).is_problem(412, "stale_version")
bob("PATCH", project, {"name": "Apollo 11"}, if_match=changed.headers["etag"])
shown = eve("GET", project).json
assert (shown["name"], shown["text"]) == ("Apollo 11", "To the moon and back"), shown
versions = bob("GET", f"{project}/versions").json
assert "To the moon" in json.dumps(versions), versions

step("Bob uploads a picture in parts, and it is on the cover")
pixels = b"\x00" + b"\x20\x40\x80" * 4


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


picture = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(pixels * 4))
    + chunk(b"IEND", b"")
)
upload = {"name": "moon.png", "content_type": "image/png", "bytes": len(picture)}
eve("POST", "/v1/uploads", upload, expect=403)
upload = bob("POST", "/v1/uploads", upload)["id"]
bob("PUT", f"/v1/uploads/{upload}/parts/1", picture)
asset = bob("POST", f"/v1/uploads/{upload}/completion", {})["id"]
bob("PATCH", project, {"cover_id": asset})
assert eve("GET", f"/v1/assets/{asset}/content").body[:8] == picture[:8]
stranger("GET", f"/v1/assets/{asset}/content", expect=404)

step("Bob has three drafts written for it, and asks a question of his own; both are paid by the team")
drafts = {"model": "gpt-4o-mini", "briefs": ["A slogan", "A first paragraph", "A title"]}
eve("POST", f"{project}/drafts", drafts, expect=403)
job = bob("POST", f"{project}/drafts", drafts)["id"]
items = job_done(bob, job)
assert len(items) == 3 and all(item["result"]["text"] for item in items), items
question = {"model": "gpt-4o-mini", "max_tokens": 30, "messages": [{"role": "user", "content": "Why?"}]}
assert bob("POST", "/v1/chat/completions", question)["choices"]
spent = eventually("what was spent", lambda: [
    it for it in ada("GET", "/v1/projects?q=Apollo")["items"] if it["calls"] == 3 and it["cost_nano_usd"] > 0
])
assert spent[0]["cover_id"] == asset, spent
eventually("the team's usage", lambda: ada("GET", "/v1/usage")["total"]["calls"] == 4)

step("Ada shares it by a link with somebody who has no account, and takes the link back")
link = ada("POST", f"{project}/links", {"expires_in_days": 7}).json
read = call("GET", link["url"])
assert read["text"] == "To the moon and back" and "Bob" not in read.body.decode(), read.body
ada("DELETE", f"{project}/links/{link['id']}")
call("GET", link["url"], expect=404)

step("Ada exports it, and Eve, who may look, downloads the archive: the text and the picture")
made = job_done(ada, ada("POST", f"{project}/exports")["id"])[0]["result"]
archive = eve("GET", made["path"]).body
with zipfile.ZipFile(io.BytesIO(archive)) as opened:
    content = {name: opened.read(name) for name in opened.namelist()}
assert any(b"To the moon and back" in it for it in content.values()), content.keys()
assert any(it[:8] == picture[:8] for it in content.values()), content.keys()

step("Eve asks for help; an operator answers, and she reads it in her feed")
ticket = eve("POST", "/v1/tickets", {"subject": "A question", "text": "May I write, too?"}).json
assert ticket["plan"] == "pro", ticket
bob("GET", f"/v1/tickets/{ticket['id']}", expect=404)
invitation = seed["operator"]["invitation"]
enrolment = call("POST", "/admin/v1/enrolments", {"token": invitation, "password": PASSWORD})
proof = {"token": invitation, "code": totp(enrolment["totp_url"])}
operator = call("POST", "/admin/v1/enrolment-proofs", proof)["token"]
answer = {"text": "Ask Ada to make you a member."}
call("POST", f"/admin/v1/tickets/{ticket['id']}/messages", answer, operator)
feed = eve("GET", "/v1/me/notifications").json
assert feed["unread"] == 1 and feed["items"][0]["ticket_id"] == ticket["id"], feed
eve("PUT", "/v1/me/notifications/read-mark", {"number": feed["items"][0]["number"]})
assert eve("GET", "/v1/me/notifications")["unread"] == 0

step("Ada makes her one, and it holds at once; the log tells who did what")
ada("PATCH", f"/v1/members/{members[eve.email]['user_id']}", {"role": "member"})
eve("POST", "/v1/projects", {"name": "Gemini"})
log = ada("GET", "/v1/audit-log?action=member.role_changed")["items"]
assert log and log[0]["action"] == "member.role_changed", log

step("Bob deletes a project and has it back; then he has his account deleted, and is out at once")
bob("DELETE", project)
eve("GET", project, expect=404)
ada("PATCH", "/v1/projects", {"ids": [apollo["id"]], "deleted": False})
assert eve("GET", project)["name"] == "Apollo 11"
assert bob("POST", "/v1/me/deletion").status == 202
eventually("Bob is out", lambda: bob.email not in ada("GET", "/v1/members").body.decode())
credentials = {"email": bob.email, "password": PASSWORD}
call("POST", "/v1/sessions", credentials, expect=403).is_problem(403, "account_disabled")
bob("GET", "/v1/projects", expect=401)
# What he left is erased once nothing of his can be under way any more, some minutes later: no client waits for that.
deletions = call("GET", "/admin/v1/deletions", token=operator)["items"]
bobs = [it for it in deletions if it["user_id"] == members[bob.email]["user_id"]]
assert len(bobs) == 1 and bobs[0]["started_at"], deletions
assert eve("GET", project)["text"] == "To the moon and back", "the team's work stays"
print("The day holds.")
