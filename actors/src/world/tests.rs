use super::*;

/// A shorter world, for unoptimised builds.
fn short() -> Plan {
    Plan { storm: 25 * SECOND, calm: 45 * SECOND, quiet: 10 * SECOND, ..Plan::default() }
}

fn fail(outcome: &Outcome) -> ! {
    let Outcome { seed, violation, lines, .. } = outcome;
    let why = violation.as_ref().map_or_else(String::new, ToString::to_string);
    panic!("seed {seed}: {why}\n{}", lines.join("\n"));
}

#[test]
fn sixty_four_worlds_hold_every_invariant() {
    let mut counts = Counts::default();
    for seed in 0..64 {
        let outcome = run(seed, &short());
        if outcome.violation.is_some() {
            fail(&outcome);
        }
        counts.add(&outcome.counts);
    }
    println!("{counts:?}");
}

/// A world that cannot see a known bug would not see an unknown one either.
#[test]
fn every_mutant_is_caught() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for mutant in Mutant::ALL {
        let plan = Plan { mutant: Some(*mutant), ..short() };
        let caught = (0..200).find_map(|seed| {
            let violation = run(seed, &plan).violation?;
            run(seed, &short()).violation.is_none().then_some((seed, violation))
        });
        match caught {
            Some((seed, violation)) => println!("{mutant:?}: seed {seed}, {}", violation.invariant),
            None => missed.push(mutant),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..4 {
        let (one, two) = (run(seed, &short()), run(seed, &short()));
        assert_eq!((one.hash, one.counts), (two.hash, two.counts), "seed {seed}");
    }
    assert_ne!(run(0, &short()).hash, run(1, &short()).hash);
}
