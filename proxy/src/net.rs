//! Bytes in and out: a plain or TLS stream, and pooled buffers.
