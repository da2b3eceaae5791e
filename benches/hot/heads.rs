//! What is asked about: a browser's request and an application's response.

/// Twelve fields, as a browser sends them over HTTP/1.
pub(crate) const REQUEST: &[u8] = b"GET /products/chairs/4711?colour=red&size=large HTTP/1.1\r\n\
Host: shop-299.example.com\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
Accept-Language: en-GB,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Referer: https://shop-299.example.com/products/chairs\r\n\
Connection: keep-alive\r\n\
Cookie: session=8f14e45fceea167a5a36dedd4bea2543; consent=1; theme=dark\r\n\
Upgrade-Insecure-Requests: 1\r\n\
Sec-Fetch-Dest: document\r\n\
Sec-Fetch-Mode: navigate\r\n\
Sec-Fetch-Site: same-origin\r\n\
\r\n";

/// The same over HTTP/2, name by name.
pub(crate) const LIST: [(&str, &str); 14] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "shop-299.example.com"),
    (":path", "/products/chairs/4711?colour=red&size=large"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-language", "en-GB,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://shop-299.example.com/products/chairs"),
    (
        "cookie",
        "session=8f14e45fceea167a5a36dedd4bea2543; consent=1; theme=dark",
    ),
    ("upgrade-insecure-requests", "1"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
];

/// Nine fields, two of them for this hop alone.
pub(crate) const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
Date: Sun, 22 Nov 2026 12:00:00 GMT\r\n\
Server: application/3.1\r\n\
Content-Type: text/html; charset=utf-8\r\n\
Content-Length: 18244\r\n\
Connection: keep-alive\r\n\
Cache-Control: private, max-age=0, must-revalidate\r\n\
ETag: \"5f2c-6400c1d6a5a40\"\r\n\
Vary: Accept-Encoding\r\n\
X-Frame-Options: SAMEORIGIN\r\n\
\r\n";
