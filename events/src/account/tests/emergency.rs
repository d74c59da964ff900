//! STOP that is worked out beside the log, against what the log makes of it afterwards.

use super::scene::Scene;
use crate::copy::StopDegree;
use crate::desk;
use crate::id::{AccountId, StreamId};
use crate::react::{Pressed, stop_orders};
use crate::sample;
use crate::trade::{Instruction, Order, OrderId, OrderReason};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Copies in every state: filled, waiting at the broker, on their way, partly closed, and one of which nobody knows.
const GIVEN: &str = "
    master M
    master MM
    slave S of M
    slave T of M
    S follows MM
    M open 1 buy EURUSD 0.5
    M open 2 buy EURUSD 0.5 limit at 1.09
    M open 3 sell GBPUSD 0.2
    MM open 3 buy EURUSD 0.4
    M open 4 buy EURUSD 0.3
    M open 5 buy GBPUSD 0.3 stop at 1.3
    S fills #1
    S places #2
    S fills #4
    S unknown #5
    M close 1 to 0.2
    S fills #7
    T rejects #1
    T fills #3
    M close 3
";

/// What an order does, whoever works it out and whenever.
type Deed = (AccountId, OrderId, Instruction, Option<AccountId>, OrderReason);

fn deed(slave: AccountId, order: &Order) -> Deed {
    (slave, order.id, order.instruction.clone(), order.master.clone(), order.reason)
}

/// The STOP that the scene presses as its `number`th.
fn pressed(degree: StopDegree, number: u128) -> Pressed {
    Pressed { degree, stop: Uuid::from_u128(number) }
}

fn beside_the_log(scene: &Scene, before: &[Pressed], pressed: Pressed) -> Vec<Deed> {
    let mut deeds = Vec::new();
    for (stream, orders) in stop_orders(&scene.log.fold.truth, before, pressed, scene.log.now) {
        let StreamId::Account(_, slave) = stream else { panic!("{stream} has no orders") };
        for order in orders {
            assert_eq!(
                (order.seq, order.deadline),
                (0, None),
                "only the log gives numbers, and what ends something never ends"
            );
            deeds.push(deed(slave.clone(), &order));
        }
    }
    deeds
}

/// The orders that the line gives.
fn in_the_log(scene: &mut Scene, line: &str) -> Vec<Deed> {
    let from = scene.issued().count();
    scene.does(line).unwrap();
    scene.issued().skip(from).map(|(slave, order)| deed(slave, order)).collect()
}

#[test]
fn what_is_worked_out_beside_the_log_is_what_the_log_gives() {
    for (degree, orders) in [(StopDegree::Pause, 0), (StopDegree::Cancel, 4), (StopDegree::Flatten, 8)] {
        let mut scene = Scene::new(GIVEN);
        let beside = beside_the_log(&scene, &[], pressed(degree, 1));
        let logged = in_the_log(&mut scene, &format!("stop {}", degree.as_str()));
        assert_eq!(beside, logged, "{}", degree.as_str());
        assert_eq!(logged.len(), orders, "{}", degree.as_str());
    }
}

#[test]
fn one_stop_after_the_other_beside_the_log_ends_nothing_twice() {
    use StopDegree::{Cancel, Flatten, Pause};
    let mut scene = Scene::new(GIVEN);
    let (pause, cancel, flatten) = (pressed(Pause, 1), pressed(Cancel, 2), pressed(Flatten, 3));
    let beside = [
        beside_the_log(&scene, &[], pause),
        beside_the_log(&scene, &[pause], cancel),
        beside_the_log(&scene, &[pause, cancel], flatten),
    ];
    let logged = ["stop pause", "stop cancel", "stop flatten"].map(|line| in_the_log(&mut scene, line));
    assert_eq!(beside, logged);
    assert_eq!(beside.map(|deeds| deeds.len()), [0, 4, 4]);
}

/// A commit of which nobody knew whether it was written may have been: then the log has more than the one who worked it out. What
/// both end they end by the same order, and no order means two things.
#[test]
fn a_commit_in_doubt_that_was_written_does_not_change_what_an_order_means() {
    for meanwhile in [
        &["M open 6 buy EURUSD 0.1"][..],
        &["MM open 1 buy EURUSD 0.1", "MM open 9 buy GBPUSD 0.1 limit at 1.2"],
        &["M close 1"],
        &["M close 2"],
        &["M close 1 to 0.1", "S fills #8"],
        &["S fills #3", "S cancels #2"],
        &["T fills #2", "T rejects #4", "M close 4"],
        &["S unlinks M close_now"],
        &["stop cancel"],
        &["M modify 1 sl 1.0"],
    ] {
        let mut scene = Scene::new(GIVEN);
        let number = 1 + meanwhile.iter().filter(|line| line.starts_with("stop")).count() as u128;
        let beside = beside_the_log(&scene, &[], pressed(StopDegree::Flatten, number));
        meanwhile.iter().for_each(|line| scene.does(line).unwrap_or_else(|no| panic!("{line}: {no}")));
        let logged = in_the_log(&mut scene, "stop flatten");
        let mut meaning: BTreeMap<OrderId, &Deed> = BTreeMap::new();
        for deed in beside.iter().chain(&logged) {
            let known = meaning.insert(deed.1, deed);
            assert!(known.is_none_or(|known| known == deed), "{meanwhile:?}: {known:?} is {deed:?}");
        }
        let target = |deed: &Deed| match &deed.2 {
            Instruction::Close { of, .. } => (deed.0.clone(), *of),
            other => panic!("STOP gave {other:?}"),
        };
        for here in &beside {
            let there = logged.iter().find(|there| target(there) == target(here));
            assert!(there.is_none_or(|there| there == here), "{meanwhile:?}: {there:?} is not {here:?}");
        }
        assert!(!beside.is_empty() && !logged.is_empty(), "{meanwhile:?}");
    }
}

#[test]
fn a_stop_that_the_log_has_already_changes_nothing() {
    let mut scene = Scene::new(GIVEN);
    let stop = |number| desk::Command::Stop {
        degree: StopDegree::Flatten,
        reason: sample::reason("the store is down"),
        stop: Uuid::from_u128(number),
    };
    assert!(scene.log.desk(stop(7)).unwrap() > 0);
    let (records, hash) = (scene.log.records.len(), scene.log.fold.truth.hash());
    assert_eq!(scene.log.desk(stop(7)), Ok(0));
    assert_eq!((scene.log.records.len(), scene.log.fold.truth.hash()), (records, hash));
    assert_eq!(scene.log.desk(stop(8)).unwrap_err().code, "stopped_already");
}

#[test]
fn who_is_not_believed_gets_no_orders() {
    let mut scene = Scene::new(GIVEN);
    scene.log.fold.truth.quarantine("slave/S".parse().unwrap());
    let beside = beside_the_log(&scene, &[], pressed(StopDegree::Flatten, 1));
    assert!(!beside.is_empty() && beside.iter().all(|deed| deed.0.as_str() == "T"), "{beside:?}");
}
