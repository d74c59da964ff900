//! What a machine may change, and what not.

use super::*;
use crate::market::{Bps, Cash};
use crate::strategy::maker::gate::{Change, Closed, GOOD_FOR, let_through};
use crate::strategy::maker::{Number, Tightens};
use proptest::prelude::*;

fn change(name: &str, value: &str) -> Change {
    Change { name: name.into(), value: value.parse().unwrap() }
}

#[test]
fn each_bound_holds_and_says_which_it_was() {
    type Row = (&'static str, &'static [(&'static str, &'static str)], Result<(), &'static str>);
    let table: [Row; 15] = [
        ("a tenth wider", &[("base_half_spread_bps", "11")], Ok(())),
        ("a tenth narrower, and one more", &[("base_half_spread_bps", "9"), ("vol_spread_gain", "1.1")], Ok(())),
        ("more than a tenth", &[("base_half_spread_bps", "11.000000001")], Err("STEP_TOO_LARGE")),
        ("less than a tenth less", &[("base_half_spread_bps", "8.999999999")], Err("STEP_TOO_LARGE")),
        ("nothing", &[], Err("CHANGES_COUNT")),
        (
            "three",
            &[("base_half_spread_bps", "11"), ("vol_spread_gain", "1.1"), ("tox_spread_gain", "1.1")],
            Err("CHANGES_COUNT"),
        ),
        ("twice", &[("vol_spread_gain", "1.1"), ("vol_spread_gain", "1.05")], Err("CHANGED_TWICE")),
        ("the same", &[("vol_spread_gain", "1.000")], Err("UNCHANGED")),
        ("more may be held", &[("max_inventory", "1.01")], Err("RISK_LOOSER")),
        ("less may be held", &[("max_inventory", "0.9")], Ok(())),
        ("a shorter pause", &[("pause_min_duration_ms", "9999")], Err("RISK_LOOSER")),
        ("a longer pause", &[("pause_min_duration_ms", "11000")], Ok(())),
        ("unknown", &[("tick", "1")], Err("PARAMETER_UNKNOWN")),
        ("half a millisecond", &[("refresh_interval_ms", "1000.5")], Err("PARAMETER_INVALID")),
        ("a lower ratio", &[("pause_inventory_ratio", "1.4")], Ok(())),
    ];
    for (name, changes, expected) in table {
        let usual = Parameters::default();
        let changes: Vec<_> = changes.iter().map(|(name, value)| change(name, value)).collect();
        let found = let_through(&usual, &usual, &changes, START, START);
        assert_eq!(found.as_ref().map(|_| ()).map_err(Closed::code), expected, "{name}");
        if let Ok(wanted) = found {
            let changed = wanted.numbers().iter().zip(usual.numbers()).filter(|(one, other)| **one != *other).count();
            assert_eq!(changed, changes.len(), "{name}");
        }
    }
}

#[test]
fn an_old_proposal_is_none() {
    let (usual, wider) = (Parameters::default(), [change("base_half_spread_bps", "11")]);
    assert!(let_through(&usual, &usual, &wider, START, START + GOOD_FOR).is_ok());
    let late = let_through(&usual, &usual, &wider, START, START + GOOD_FOR + Span(1));
    assert_eq!(late, Err(Closed::Expired { made_at: START }));
}

#[test]
fn an_absolute_bound_holds_where_the_step_would_do() {
    let base_half_spread_bps = Bps::whole(1_000);
    let most = Parameters { base_half_spread_bps, ..Parameters::default() };
    let wider = [change("base_half_spread_bps", "1001")];
    assert_eq!(let_through(&most, &most, &wider, START, START).map_err(|why| why.code()), Err("PARAMETER_INVALID"));
}

#[test]
fn small_steps_do_not_add_up_to_a_large_one() {
    let anchor = Parameters::default();
    let mut active = anchor.clone();
    let mut steps = 0;
    let stopped = loop {
        let next = Cash(active.base_half_spread_bps.0 as i128 * 1_050_000_000);
        match let_through(
            &active,
            &anchor,
            &[Change { name: "base_half_spread_bps".into(), value: next }],
            START,
            START,
        ) {
            Ok(wanted) => active = wanted,
            Err(why) => break why,
        }
        steps += 1;
    };
    // 1.05⁵ = 1.276, 1.05⁶ = 1.340
    assert_eq!((steps, stopped.code()), (5, "DRIFT_TOO_LARGE"));
}

proptest! {
    /// Whatever is proposed, and however often.
    #[test]
    fn no_sequence_of_proposals_leaves_the_bounds(
        proposals in prop::collection::vec(prop::collection::vec((0usize..22, -120i128..=120), 0..4), 1..60)
    ) {
        let anchor = Parameters::default();
        let mut active = anchor.clone();
        for proposal in proposals {
            let numbers = active.numbers();
            let changes: Vec<Change> = proposal.into_iter().map(|(which, thousandths)| {
                let Number { name, value, .. } = numbers[which];
                Change { name: name.into(), value: value + Cash(value.0 / 1_000 * thousandths) }
            }).collect();
            let Ok(wanted) = let_through(&active, &anchor, &changes, START, START) else { continue };
            for (new, old) in wanted.numbers().iter().zip(&numbers) {
                let loosens = match new.tightens {
                    Tightens::Up => new.value < old.value,
                    Tightens::Down => new.value > old.value,
                    Tightens::No => false,
                };
                prop_assert!(!loosens, "{:?} was {}", new, old.value);
                prop_assert!((new.value - old.value).abs().0 * 10 <= old.value.0, "{:?} was {}", new, old.value);
            }
            active = wanted;
        }
        for (now, first) in active.numbers().iter().zip(anchor.numbers()) {
            prop_assert!(now.least <= now.value && now.value <= now.most);
            prop_assert!((now.value - first.value).abs().0 * 10 <= first.value.0 * 3, "{:?} drifted from {}", now, first.value);
        }
        prop_assert!(active.checked().is_ok());
    }
}
