//! STOP, in its three degrees.

use super::scene::Scene;

const GIVEN: &str = "
    master M
    slave S of M
    slave T of M
    M open 1 buy EURUSD 0.5
    M open 2 buy EURUSD 0.5 limit at 1.09
    S fills #1
    S places #2
    M open 3 sell GBPUSD 0.2
";

#[test]
fn a_pause_opens_nothing_and_lets_everything_be_closed() {
    Scene::new(GIVEN).plays(
        "stop pause
         > S stops: pause
         > T stops: pause
         M open 4 buy EURUSD 0.5
         > S 4: stopped
         > T 4: stopped
         M modify 1 sl 1.05
         > S 1: copied
         > S #4 modify #1 sl 1.05
         > T 1: copied
         > T #4 modify #1 sl 1.05
         M close 1
         > S 1: copied
         > S #5 close #1
         > T 1: copied
         > T #5 close #1
         stop pause
         > refused stopped_already
         resume
         M open 5 buy EURUSD 0.5
         > S 5: copied
         > S #6 buy EURUSD 0.5
         > T 5: copied
         > T #6 buy EURUSD 0.5",
    );
}

#[test]
fn a_cancel_takes_back_what_waits() {
    Scene::new(GIVEN).plays(
        "stop cancel
         > S stops: cancel
         > S #4 close #2 (stop)
         > T stops: cancel
         > T #4 close #2 (stop)
         S cancels #4
         M open 2 buy EURUSD 0.5 at 1.09
         > S 2: stopped
         > T 2: unchanged
         M close 1
         > S 1: copied
         > S #5 close #1
         > T 1: copied
         > T #5 close #1",
    );
}

#[test]
fn a_flatten_closes_everything_that_was_copied_also_what_is_on_its_way() {
    let mut scene = Scene::new(GIVEN);
    scene.plays(
        "stop flatten
         > S stops: flatten
         > S #4 close #1 (stop)
         > S #5 close #2 (stop)
         > S #6 close #3 (stop)
         > T stops: flatten
         > T #4 close #1 (stop)
         > T #5 close #2 (stop)
         > T #6 close #3 (stop)
         S fills #4
         S cancels #5
         S fills #3
         S fills #6
         M close 1
         > S 1: copy_over
         > T 1: unchanged
         M close 3
         > S 3: copy_over
         > T 3: unchanged",
    );
    assert_eq!(scene.book("S").all_copies().count(), 1, "the master's pending order is there still");
    assert_eq!(scene.book("S").outbox.len(), 0);
}

#[test]
fn a_stop_goes_further_and_not_less_far() {
    Scene::new(GIVEN).plays(
        "stop pause
         > S stops: pause
         > T stops: pause
         stop cancel
         > S stops: cancel
         > S #4 close #2 (stop)
         > T stops: cancel
         > T #4 close #2 (stop)
         stop flatten
         > S stops: flatten
         > S #5 close #1 (stop)
         > S #6 close #3 (stop)
         > T stops: flatten
         > T #5 close #1 (stop)
         > T #6 close #3 (stop)
         stop cancel
         > refused stopped_already
         resume
         resume
         > refused not_stopped",
    );
}

/// A broker that refuses to close once is asked again: nobody watches who pressed STOP.
#[test]
fn a_close_of_a_flatten_is_tried_again() {
    Scene::new("master M\nslave S of M\nM open 1 buy EURUSD 0.5\nS fills #1").plays(
        "stop flatten
         > S stops: flatten
         > S #2 close #1 (stop)
         S rejects #2
         > S #3 close #1 (correction)
         S part #3 0.2
         > S #4 close #1 (correction)
         S fills #4
         M close 1
         > S 1: copy_over",
    );
}

#[test]
fn the_orders_of_a_stop_have_the_same_ids_when_they_are_worked_out_again() {
    let (mut one, mut other) = (Scene::new(GIVEN), Scene::new(GIVEN));
    other.does("wait 5s").unwrap();
    for scene in [&mut one, &mut other] {
        scene.does("stop flatten").unwrap();
    }
    let ids = |scene: &Scene| -> Vec<_> { scene.issued().map(|(slave, order)| (slave, order.id)).collect() };
    assert_eq!(ids(&one), ids(&other));
    let mut different = ids(&one);
    different.sort();
    different.dedup();
    assert_eq!(different.len(), ids(&one).len());
}

#[test]
fn a_stop_reaches_whoever_holds_copies_and_blocks_the_others() {
    let mut scene =
        Scene::new("master M\nslave S of M\nslave T of M\nT link M off\nM open 1 buy EURUSD 0.5\nT link M on");
    scene.plays(
        "stop flatten
         > S stops: flatten
         > S #2 close #1 (stop)
         M open 2 buy EURUSD 0.5
         > S 2: stopped
         > T 2: stopped",
    );
}
