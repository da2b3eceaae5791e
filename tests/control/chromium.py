"""Opens the page in Chromium, in several shapes, and prints what it is like.

Arguments: the page, an address to send requests to, a folder for the profile, the start of the names of pictures, a token or nothing.
Chromium is spoken with over two pipes, by the DevTools protocol: one JSON object, then a NUL.
"""

import base64, fcntl, json, os, select, subprocess, sys, threading, time, urllib.request

page, traffic, profile, shots, token = sys.argv[1:6]
END = time.monotonic() + 90

commands, answers = os.pipe(), os.pipe()


def wire():
    # Out of the way first: one of them may be 3 or 4 itself.
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (commands[0], answers[1])]
    for place, end in zip((3, 4), ends):
        os.dup2(end, place)


browser = subprocess.Popen(
    ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
     "--disable-component-update", "--hide-scrollbars", "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"],
    preexec_fn=wire, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
os.close(commands[0])
os.close(answers[1])

errors, strangers = [], []
state = {"id": 0, "rest": b"", "session": None}


def hear(message):
    method, said = message.get("method"), message.get("params", {})
    if method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
        # A token that is wrong on purpose is answered with 401, and an upstream that is down with 502.
        if "401" not in said["entry"]["text"]:
            errors.append(said["entry"]["text"])
    if method == "Runtime.exceptionThrown":
        errors.append(json.dumps(said["exceptionDetails"]))
    if method == "Network.requestWillBeSent":
        url = said["request"]["url"]
        if not url.startswith(page) and not url.startswith("about:"):
            strangers.append(url)


def receive():
    while b"\0" not in state["rest"]:
        if not select.select([answers[0]], [], [], max(0, END - time.monotonic()))[0]:
            raise SystemExit("Chromium does not answer")
        read = os.read(answers[0], 1 << 20)
        if not read:
            raise SystemExit("Chromium has ended")
        state["rest"] += read
    text, state["rest"] = state["rest"].split(b"\0", 1)
    return json.loads(text)


def call(method, **params):
    state["id"] += 1
    message = {"id": state["id"], "method": method, "params": params}
    if state["session"]:
        message["sessionId"] = state["session"]
    os.write(commands[1], json.dumps(message).encode() + b"\0")
    while True:
        answer = receive()
        if answer.get("id") == state["id"]:
            if "error" in answer:
                raise SystemExit(f"{method}: {answer['error']}")
            return answer["result"]
        hear(answer)


def js(text):
    answer = call("Runtime.evaluate", expression=text, awaitPromise=True, returnByValue=True, userGesture=True)
    if "exceptionDetails" in answer:
        raise SystemExit(f"{text}: {answer['exceptionDetails']}")
    return answer["result"].get("value")


def until(text):
    while not js(text):
        if time.monotonic() > END:
            raise SystemExit(f"never: {text}")
        time.sleep(0.05)


def shape(width, height, scheme):
    call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
    call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


def shoot(name):
    high = min(4000, js("document.documentElement.scrollHeight"))
    wide = js("innerWidth")
    picture = call("Page.captureScreenshot", captureBeyondViewport=True, clip={"x": 0, "y": 0, "width": wide, "height": high, "scale": 1})
    with open(f"{shots}-{name}.png", "wb") as file:
        file.write(base64.b64decode(picture["data"]))


def load():
    while time.monotonic() < END and not state.get("over"):
        for path in ("x", "x", "y"):
            try:
                urllib.request.urlopen(f"{traffic}{path}", timeout=2).read()
            except OSError:
                pass
        time.sleep(0.01)


threading.Thread(target=load, daemon=True).start()
target = call("Target.createTarget", url="about:blank")["targetId"]
state["session"] = call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
for domain in ("Log", "Runtime", "Network", "Page"):
    call(f"{domain}.enable")
shape(1360, 900, "light")
call("Page.navigate", url=page)
# Two samples make the first rates, and some more a line.
until("document.querySelectorAll('#listeners tbody tr').length > 0")
until("(document.querySelector('#way svg path:last-child')?.getAttribute('d') ?? '').split('L').length > 5")
seen = {"errors": errors, "strangers": strangers, "overflow": {}, "background": {}}
seen["endpoints"] = js("document.querySelectorAll('#upstreams tbody tr').length")
seen["landmarks"] = js("[...document.body.children].map((one) => one.localName).filter((one) => ['header', 'nav', 'main', 'footer'].includes(one))")
seen["notes"] = js("[...document.querySelectorAll('.note')].map((one) => one.textContent)")
# Every table has a name, every column a head, every row one, every field a label, every button a name.
seen["unlabelled"] = js("""[
  ...[...document.querySelectorAll('table')].filter((one) => !document.getElementById(one.getAttribute('aria-labelledby'))),
  ...[...document.querySelectorAll('thead th')].filter((one) => one.scope !== 'col' || !(one.textContent || one.ariaLabel)),
  ...[...document.querySelectorAll('tbody tr')].filter((one) => one.querySelector('th')?.scope !== 'row'),
  ...[...document.querySelectorAll('input')].filter((one) => one.labels.length === 0),
  ...[...document.querySelectorAll('button')].filter((one) => !one.textContent && !one.ariaLabel),
].map((one) => one.outerHTML)""")
if token:
    seen["locked"] = js("!document.getElementById('unlock').hidden && document.getElementById('orders').hidden")
    js("document.getElementById('unlock').click()")
    until("document.getElementById('key').open")
    for text in ("not-the-token-at-all", token):
        js(f"document.querySelector('#key input').value = {json.dumps(text)}")
        js("document.querySelector('#key form').requestSubmit()")
        if text != token:
            until("document.getElementById('key-told').textContent !== ''")
            seen["wrong_token"] = js("document.getElementById('key-told').textContent")
    until("!document.getElementById('orders').hidden")
    seen["unlocked"] = js("!document.getElementById('key').open && document.querySelectorAll('#upstreams td.act button').length > 0")
    js("document.querySelector('#upstreams td.act button').click()")
    until("document.querySelector('#upstreams tbody tr .state').textContent === 'draining'")
    seen["state"] = js("document.querySelector('#upstreams tbody tr .state').textContent")
    js("document.querySelector('#block').elements.address.value = '203.0.113.99'")
    js("document.querySelector('#block').elements.reason.value = 'seen by the test'")
    js("document.querySelector('#block').requestSubmit()")
    until("document.querySelectorAll('#bans tbody tr').length > 0")
    seen["blocked"] = js("document.querySelector('#bans tbody tr').textContent")
else:
    seen["locked"] = "no token" if js("document.getElementById('unlock').hidden") else "a token"
for name, width, height, scheme in (
    ("light", 1360, 900, "light"), ("dark", 1360, 900, "dark"), ("phone", 360, 740, "light"), ("phone_dark", 360, 740, "dark")):
    shape(width, height, scheme)
    js("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
    seen["overflow"][name] = js("document.documentElement.scrollWidth > innerWidth")
    seen["background"][name] = js("getComputedStyle(document.documentElement).backgroundColor")
    shoot(name)
js("document.getElementById('pause').click()")
seen["paused"] = js("document.getElementById('pause').ariaPressed === 'true' && document.getElementById('badges').textContent.includes('PAUSED')")
state["over"] = True
browser.kill()
browser.wait()
print(json.dumps(seen))
