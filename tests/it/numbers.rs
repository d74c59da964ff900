//! Order numbers after an older backup was restored: the terminal knows higher ones than the log.

use crate::desk::{Desk, wait_until};
use crate::stop::Scene;
use tidehelm_events::trade::{Entry, Outcome, Ticket};

#[test]
fn a_terminal_that_knows_more_orders_than_the_log_gets_higher_numbers() {
    let temp = tempfile::tempdir().unwrap();
    let desk = Desk::start(temp.path());
    let mut scene = Scene::begin(&desk);
    scene.slave.through = 9;
    let outstanding = scene.slave.gets(1).remove(0);
    assert_eq!((outstanding.seq, outstanding.ticket), (10, Some(Ticket(3))), "it was 3 in the log");
    let skipped = scene.admin.events("order_numbers_skipped");
    assert_eq!(skipped.iter().map(|event| event["payload"]["through"].clone()).collect::<Vec<_>>(), [9]);
    scene.slave.is_taken(&outstanding, Outcome::Filled);
    wait_until("its positions are compared", || {
        !scene.admin.account("slave/Demo_S").to_string().contains("log_behind_terminal")
    });
    scene.opens(4, Entry::Market);
    let next = scene.slave.gets(1).remove(0);
    assert_eq!((next.seq, next.ticket), (11, Some(Ticket(4))));
}
