//! `cargo sim`: hundreds of worlds, each from one number. Exits with 1 if one of them breaks an invariant, or if all of them
//! together did not do something that they are there to do.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tidehelm_actors::world::{Counts, Outcome, Plan, run};

const USAGE: &str = "cargo sim [--seeds COUNT] [--from SEED] [--seed SEED] [--steps COUNT]

  --seeds COUNT   how many worlds (300)
  --from SEED     the first one's seed (0)
  --seed SEED     only this one, with every line of its history
  --steps COUNT   the faults of a world stop after so many steps, if not before";

struct Asked {
    seeds: u64,
    from: u64,
    only: Option<u64>,
    steps: u64,
}

fn main() -> ExitCode {
    let Some(asked) = asked(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    // A panic inside a world is a finding, told with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    let plan = Plan { steps: asked.steps, loud: asked.only.is_some(), ..Plan::default() };
    match asked.only {
        Some(seed) => one(seed, &plan),
        None => many(&asked, &plan),
    }
}

fn asked(mut words: impl Iterator<Item = String>) -> Option<Asked> {
    let mut asked = Asked { seeds: 300, from: 0, only: None, steps: u64::MAX };
    while let Some(word) = words.next() {
        let number = words.next()?.parse().ok()?;
        match word.as_str() {
            "--seeds" => asked.seeds = number,
            "--from" => asked.from = number,
            "--seed" => asked.only = Some(number),
            "--steps" => asked.steps = number,
            _ => return None,
        }
    }
    Some(asked)
}

fn one(seed: u64, plan: &Plan) -> ExitCode {
    let outcome = run(seed, plan);
    outcome.lines.iter().for_each(|line| println!("{line}"));
    print(&outcome.counts);
    println!("history {}", outcome.hash);
    match outcome.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("seed {seed} breaks {violation}");
            ExitCode::FAILURE
        }
    }
}

fn many(asked: &Asked, plan: &Plan) -> ExitCode {
    let outcomes = run_all(asked.from, asked.seeds, plan);
    let mut counts = Counts::default();
    let mut broken = 0;
    for outcome in &outcomes {
        counts.add(&outcome.counts);
        if outcome.violation.is_some() {
            broken += 1;
            match broken {
                0..=3 => tell(outcome, plan),
                _ => name(outcome),
            }
        }
    }
    println!("{} seeds from {}, {broken} broken", outcomes.len(), asked.from);
    print(&counts);
    let missing: Vec<_> = counts.rows().into_iter().filter(|(_, count, needed)| *needed && *count == 0).collect();
    let enough = asked.seeds < 100 || missing.is_empty();
    if !enough {
        missing.iter().for_each(|(name, ..)| println!("no {name} at all: this run proves nothing about it"));
    }
    if broken == 0 && enough { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn name(outcome: &Outcome) {
    if let Some(violation) = &outcome.violation {
        println!("seed {} breaks {violation}", outcome.seed);
    }
}

fn tell(outcome: &Outcome, plan: &Plan) {
    outcome.lines.iter().for_each(|line| println!("{line}"));
    name(outcome);
    let steps = if plan.steps == u64::MAX { String::new() } else { format!(" --steps {}", plan.steps) };
    println!("again: cargo sim --seed {}{steps}\n", outcome.seed);
}

/// Every world's outcome, in the order of their seeds, whichever core ran it. A history is kept only where it is told.
fn run_all(from: u64, count: u64, plan: &Plan) -> Vec<Outcome> {
    let next = AtomicU64::new(from);
    let done = Mutex::new(BTreeMap::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from.saturating_add(count) {
                        return;
                    }
                    let mut outcome = run(seed, plan);
                    if outcome.violation.is_none() {
                        outcome.lines.clear();
                    }
                    if let Ok(mut done) = done.lock() {
                        done.insert(seed, outcome);
                    }
                }
            });
        }
    });
    done.into_inner().map_or_else(|_| Vec::new(), |done| done.into_values().collect())
}

fn print(counts: &Counts) {
    counts.rows().iter().for_each(|(name, count, _)| println!("{count:>12}  {}", name.replace('_', " ")));
}
