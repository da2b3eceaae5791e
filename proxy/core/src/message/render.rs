//! Heads as HTTP/1 bytes.
