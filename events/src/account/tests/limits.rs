//! Limits of an account at work: what they forbid, what they close, and how they are armed again.

use super::scene::Scene;

fn scene(rules: &str) -> Scene {
    let mut scene = Scene::new("master M\nslave S of M");
    for line in [
        &format!(r#"S settings {{"protection":{rules}}}"#),
        "S beats equity 10000",
        "M open 1 buy EURUSD 0.5",
        "M open 2 buy EURUSD 0.5 limit at 1.09",
        "S fills #1",
        "S places #2",
    ] {
        scene.does(line).unwrap();
    }
    scene
}

#[test]
fn a_limit_that_blocks_entries_lets_everything_be_closed() {
    scene(r#"{"daily_loss":{"amount":{"money":"500"},"action":"BLOCK_ENTRY"}}"#).plays(
        "S beats equity 9650
         S beats equity 9600
         > S is near daily_loss
         S beats equity 9600
         S beats equity 9500
         > S hit daily_loss
         S beats equity 9400
         M open 3 buy EURUSD 0.5
         > S 3: protected
         M modify 1 sl 1.05
         > S 1: copied
         > S #3 modify #1 sl 1.05
         M close 1
         > S 1: copied
         > S #4 close #1",
    );
}

#[test]
fn a_limit_that_closes_only_takes_back_what_waits() {
    scene(r#"{"daily_loss":{"amount":{"money":"500"},"action":"CLOSE_ONLY"}}"#).plays(
        "S beats equity 9500
         > S hit daily_loss
         > S #3 close #2 (protection)
         S beats equity 9500
         S cancels #3
         S beats equity 9400
         M open 3 buy EURUSD 0.5
         > S 3: protected
         M close 1
         > S 1: copied
         > S #4 close #1",
    );
}

#[test]
fn a_limit_that_flattens_closes_everything_once_and_again_where_it_was_refused() {
    scene(r#"{"daily_loss":{"amount":{"money":"500"},"action":"FLATTEN"}}"#).plays(
        "S beats: 801 buy EURUSD 0.5 equity 9500
         > S hit daily_loss
         > S #3 close #1 (protection)
         > S #4 close #2 (protection)
         S beats: 801 buy EURUSD 0.5 equity 9500
         S cancels #4
         S rejects #3
         S beats: 801 buy EURUSD 0.5 equity 9450
         > S #5 close #1 (protection)
         S fills #5
         S beats: equity 9500
         M open 3 buy EURUSD 0.5
         > S 3: protected",
    );
}

#[test]
fn what_is_hit_holds_until_the_next_day_or_until_a_person_arms_it_again() {
    let mut hit = scene(r#"{"daily_loss":{"amount":{"money":"500"},"action":"BLOCK_ENTRY"}}"#);
    hit.plays(
        "S beats equity 9500
         > S hit daily_loss
         S beats equity 10000
         M open 3 buy EURUSD 0.5
         > S 3: protected",
    );
    let (mut day, mut person) = (hit.clone(), hit);
    day.plays(
        "wait 86400s
         S beats equity 10000
         > S is clear of daily_loss
         M open 4 buy EURUSD 0.5
         > S 4: copied
         > S #3 buy EURUSD 0.5",
    );
    person.plays(
        r#"S rearms {"limits":["daily_loss"],"reason":"a payout"}
         > S is armed again
         M open 4 buy EURUSD 0.5
         > S 4: copied
         > S #3 buy EURUSD 0.5
         S rearms {"limits":["daily_loss"],"reason":"once more"}
         > refused limit_not_hit
         S beats equity 9400
         > S hit daily_loss
         S rearms {"limits":["daily_loss"],"reason":"too early"}
         > refused limit_still_exceeded"#,
    );
}

#[test]
fn limits_that_are_taken_away_hold_no_longer() {
    scene(r#"{"daily_loss":{"amount":{"money":"500"},"action":"BLOCK_ENTRY"}}"#).plays(
        r#"S beats equity 9500
         > S hit daily_loss
         S settings {}
         S beats equity 9500
         > S is clear of daily_loss
         M open 3 buy EURUSD 0.5
         > S 3: copied
         > S #3 buy EURUSD 0.5
         S rearms {"limits":["daily_loss"],"reason":"nothing there"}
         > refused limit_not_hit"#,
    );
}

#[test]
fn what_is_near_or_hit_shows_among_the_warnings_of_account_and_configuration() {
    let mut scene = scene(r#"{"daily_loss":{"amount":{"money":"500"},"action":"BLOCK_ENTRY"}}"#);
    for (line, expected) in [
        ("S beats equity 9800", [].as_slice()),
        ("S beats equity 9600", &["limit_near"]),
        ("S beats equity 9400", &["limit_hit"]),
        (r#"S settings {}"#, &["limit_hit"]),
        ("S beats equity 9400", &[]),
    ] {
        scene.does(line).unwrap();
        let account = scene.account("slave/S");
        assert_eq!(
            (account.warnings.codes(), account.config().warnings.codes()),
            (expected.to_vec(), expected.to_vec())
        );
    }
}
