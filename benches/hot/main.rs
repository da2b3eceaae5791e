//! The hot questions of a request, asked a number of times for `cargo xtask bench hot`, which counts the instructions that an answer
//! takes. What is asked is fixed, so the count is the same from run to run.
//!
//! Without arguments it names the questions. A new one is a line in [`QUESTIONS`], a function that sets the stage and gives what is
//! to be counted, and a line in `benches/hot.toml`, which `cargo xtask bench hot --write` writes.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench that cannot go on ends, and says why"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a program reads its arguments, though a function of the core may not"
)]

mod h1;
mod heads;
mod router;
mod serve;

use std::env;

/// Sets the stage; what it gives is counted.
type Question = fn() -> Box<dyn FnMut()>;

const QUESTIONS: [(&str, Question); 10] = [
    // A head as browsers send it, from bytes to a checked request.
    ("h1-request", h1::request),
    // A host among 300 and the path of it.
    ("route", router::find),
    // The head that goes to the endpoint.
    ("h1-render", h1::render),
    // The endpoint's head, from bytes to the fields that go on.
    ("h1-response", h1::response),
    // The same fields as the head of an HTTP/1 response.
    ("h1-encode", h1::encode),
    // The request's fields as a header list, to a checked request.
    ("h2-request", serve::h2::request),
    // The response's fields as a header block.
    ("h2-encode", serve::h2::encode),
    // The request's fields as a field section of HTTP/3, to a checked request.
    ("h3-request", serve::h3::request),
    // The response's fields as such a section.
    ("h3-encode", serve::h3::encode),
    // A packet with such a request and one with its answer, without the cipher.
    ("quic-packet", serve::quic::packet),
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, count] = arguments.as_slice() else {
        for (name, _) in QUESTIONS {
            println!("{name}");
        }
        return;
    };
    let count: u32 = count.parse().unwrap();
    let known = QUESTIONS.iter().find(|(known, _)| known == name);
    let (_, question) = known.unwrap_or_else(|| panic!("no question {name}"));
    let mut ask = question();
    for _ in 0..count {
        ask();
    }
}
