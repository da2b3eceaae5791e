"""curl, with its own choice of QUIC."""

import sys

from curl_cffi import CurlHttpVersion, requests

url = f"https://127.0.0.1:{int(sys.argv[1])}/foreign"
with requests.Session(verify=False, http_version=CurlHttpVersion.V3ONLY) as session:
    for method, body in [("GET", None), ("POST", b"x" * 300_000)]:
        answer = session.request(method, url, data=body, timeout=15)
        assert answer.status_code == 200, answer
        assert answer.http_version == CurlHttpVersion.V3, answer.http_version
        assert answer.headers["x-asked"] == f"{method} /foreign HTTP/1.1"
        assert answer.content == (body or b""), len(answer.content)
print("all is well")
