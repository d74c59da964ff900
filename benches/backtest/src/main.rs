//! The paper venue beside `hftbacktest`, in one run on one made-up tape: `make bench`, or from the repository's root
//! `cargo run --release --manifest-path benches/backtest/Cargo.toml --target-dir target -- [EVENTS]`.
//!
//! A quoter stands one tick outside the best on both sides and quotes anew when the best has moved by so many ticks; both have the
//! same one, each written for its own interface. First with a model that both have: an order is filled at once and in full, by a trade
//! through its price, by the other side coming to it, or by a trade at its price once those before it are gone, who leave by trading
//! only. There both must give the same fills, one by one: order, side, price and time. Then each with its richer models, where they
//! differ by design (a print is given out once here, and to every order there).
//!
//! Speeds are by the time of the processor that the one thread had. Events are the tape's quotes and deals. The peer gets a quote as the changes of its levels, of which there are more.

mod ours;
mod peer;
mod tape;

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use tape::Tape;

/// The binary's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 5;
/// There and back, in microseconds.
pub const LATENCY: (i64, i64) = (802, 604);
pub const LOTS: i64 = 10;

/// Order, whether it buys, price in ticks, the venue's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled(pub u64, pub bool, pub i64, pub i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// At once and in full, risk-averse.
    Shared,
    /// In parts, risk-averse.
    Parts,
    /// In parts, probabilistic with the third power.
    Likely,
}

fn main() {
    let count = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let tape = tape::tape(count, 0x5eed_1234_5678_9abd);
    println!(
        "{count} quotes and deals ({} events for the peer), {} ms there and {} ms back, best of {ROUNDS} rounds in turn",
        tape.events.len(),
        LATENCY.0 as f64 / 1e3,
        LATENCY.1 as f64 / 1e3,
    );
    println!("{:<44} {:>10} {:>10} {:>14} {:>8}", "", "orders", "fills", "events/s", "ratio");
    for (what, hysteresis) in [("on every change", 1), ("from 3 ticks on", 3)] {
        for model in [Model::Shared, Model::Parts, Model::Likely] {
            compare(&tape, count, model, what, hysteresis);
        }
    }
    for (what, hysteresis) in [("on every change", 1), ("from 3 ticks on", 3)] {
        let whole = best(|| ours::whole(&tape, hysteresis));
        let name = format!("ours, likely, with its report, {what}");
        println!("{name:<44} {:>10} {:>10} {:>14.0}", whole.1.orders, "", count as f64 / whole.0.as_secs_f64());
    }
    let maker = best(|| ours::maker(&tape));
    let name = "ours, likely, a maker of the desk, its report";
    println!("{name:<44} {:>10} {:>10} {:>14.0}", maker.1.orders, "", count as f64 / maker.0.as_secs_f64());
    let alone = best(|| ours::alone(&tape));
    println!("{:<44} {:>10} {:>10} {:>14.0}", "ours, nobody quotes", "", "", count as f64 / alone.0.as_secs_f64());
}

fn compare(tape: &Tape, count: usize, model: Model, what: &str, hysteresis: i64) {
    let (mut ours_took, mut map_took, mut vector_took) = (Duration::MAX, Duration::MAX, Duration::MAX);
    let (mut ours, mut map, mut vector) = (Run::default(), Run::default(), Run::default());
    for _ in 0..ROUNDS {
        (ours_took, ours) = timed(ours_took, || ours::run(tape, model, hysteresis));
        (map_took, map) = timed(map_took, || peer::run(tape, model, hysteresis, peer::Depth::Map));
        (vector_took, vector) = timed(vector_took, || peer::run(tape, model, hysteresis, peer::Depth::Vector));
    }
    let peer_took = map_took.min(vector_took);
    for (who, run, took) in
        [("ours", &ours, ours_took), ("peer, hash map", &map, map_took), ("peer, vector", &vector, vector_took)]
    {
        let name = format!("{who}, {model:?}, {what}").to_lowercase();
        let ratio = peer_took.as_secs_f64() / took.as_secs_f64();
        let speed = count as f64 / took.as_secs_f64();
        println!("{name:<44} {:>10} {:>10} {speed:>14.0} {ratio:>7.2}x", run.orders, run.fills.len());
    }
    assert_eq!(map.fills, vector.fills, "the peer agrees with itself");
    if model == Model::Shared {
        assert!(!ours.fills.is_empty(), "nothing was compared");
        if let Some(at) =
            (0..ours.fills.len().max(map.fills.len())).find(|at| ours.fills.get(*at) != map.fills.get(*at))
        {
            panic!("fill {at} differs: ours {:?}, the peer's {:?}", ours.fills.get(at), map.fills.get(at));
        }
        println!("    all {} fills are the same", ours.fills.len());
    }
}

#[derive(Debug, Default)]
pub struct Run {
    pub orders: u64,
    pub fills: Vec<Filled>,
}

fn timed(best: Duration, run: impl FnOnce() -> Run) -> (Duration, Run) {
    let began = processor();
    let run = run();
    ((processor() - began).min(best), run)
}

/// What this thread has had of a processor: both run on one, and others on the machine do not count.
fn processor() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn best(mut run: impl FnMut() -> Run) -> (Duration, Run) {
    let first = timed(Duration::MAX, &mut run);
    (1..ROUNDS).fold(first, |(took, _), _| timed(took, &mut run))
}
