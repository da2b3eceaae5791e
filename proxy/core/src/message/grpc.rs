//! What a proxy has to know of gRPC: which requests are calls, and how a refusal is told to one.

use super::{Kind, Request, Version};

/// Whether the request is a call by one who reads trailers: gRPC is not spoken over HTTP/1.
pub fn is_call(request: &Request<'_>) -> bool {
    let is_stream = !matches!(request.version, Version::H10 | Version::H11);
    is_stream
        && request.fields.iter().any(|field| {
            field.kind == Kind::Other && field.is(b"content-type") && is_grpc(field.value)
        })
}

/// `application/grpc`, alone or with a codec or parameters behind it; not gRPC-Web, which has its trailers in the body.
fn is_grpc(value: &[u8]) -> bool {
    const TYPE: &[u8] = b"application/grpc";
    value
        .split_at_checked(TYPE.len())
        .is_some_and(|(kind, rest)| {
            kind.eq_ignore_ascii_case(TYPE) && matches!(rest, [] | [b'+' | b';' | b' ', ..])
        })
}

/// The `grpc-status` that stands for a status of HTTP, as gRPC's own table has it.
pub const fn status(http: u16) -> &'static str {
    match http {
        400 | 431 => "13",
        401 => "16",
        403 => "7",
        404 => "12",
        429 | 502 | 503 | 504 => "14",
        _ => "2",
    }
}

#[cfg(test)]
mod tests {
    use super::{is_grpc, status};

    #[test]
    fn calls_are_known_by_their_type() {
        for call in [
            "application/grpc",
            "application/grpc+proto",
            "Application/gRPC; x=y",
        ] {
            assert!(is_grpc(call.as_bytes()), "{call}");
        }
        for other in [
            "application/grpc-web",
            "application/grpcx",
            "application/json",
            "",
        ] {
            assert!(!is_grpc(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn what_may_be_tried_again_is_unavailable() {
        let codes = [404, 403, 429, 503, 413].map(status);
        assert_eq!(codes, ["12", "7", "14", "14", "2"]);
    }
}
