//! Prints `config/metrics.md`: every metric with its labels and meaning.
#![expect(clippy::print_stdout, reason = "printing is all it does")]

fn main() {
    print!("{}", openclaw::telemetry::metrics::reference());
}
