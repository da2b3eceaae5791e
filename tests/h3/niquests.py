"""niquests, whose HTTP/3 is qh3."""

import sys

import niquests

port = int(sys.argv[1])
url = f"https://localhost:{port}"
with niquests.Session(disable_ipv6=True) as session:
    # As if an earlier answer had told of it.
    session.quic_cache_layer[("localhost", port)] = ("localhost", port)
    for method, body in [("GET", None), ("POST", b"x" * 300_000)]:
        answer = session.request(method, f"{url}/foreign", data=body, timeout=15, verify=False)
        assert answer.status_code == 200, answer
        assert answer.http_version == 30, answer.http_version
        assert answer.headers["x-asked"] == f"{method} /foreign HTTP/1.1"
        assert answer.content == (body or b""), len(answer.content)
print("all is well")
