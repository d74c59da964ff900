//! Alerts, where they touch the world: what the machine shows, and the ways to people.
//!
//! `keep` looks at the desk and says edges; they are commands to the stream `alerts`. What must be told follows from that stream
//! alone: `outbox` reads it from what is durable, sends, and records what became of it. So nothing is sent that is not in the log,
//! and what was not answered for when the process ended is sent again, under the same id.

mod aside;
mod email;
pub mod guard;
mod machine;
mod message;
pub mod outbox;
mod send;

pub use message::Message;
pub use send::{Failed, Sent, key_of, new_key};

use crate::http::Data;
use crate::store::Store;
use machine::Eyes;
use std::collections::BTreeSet;
use std::time::Duration;
use tidehelm_actors::journal::Fault;
use tidehelm_actors::node::{Command, Order};
use tidehelm_actors::port::Clock;
use tidehelm_events::alert::{self, watch::Watch};
use tidehelm_events::answer::Answer;
use tidehelm_events::id::{CredentialId, Position, Principal, StreamId};

/// Between two looks that events caused.
const PAUSE: Duration = Duration::from_millis(200);
const SHOWN_WITHIN: Duration = Duration::from_secs(5);

/// Looks again and again, and at once when something happened, until the desk stops.
pub async fn keep(app: Data, store: Store) {
    let (mut head, mut stopping) = (app.host.durable.subscribe(), app.stopping.clone());
    let mut every = tokio::time::interval(app.config.alerts.look_every.into());
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut watch, mut eyes) = (Watch::default(), Eyes::new(&app, store));
    loop {
        let seen = head.borrow_and_update().position;
        if let Err(fault) = look(&app, &mut watch, &mut eyes).await {
            tracing::warn!(%fault, "an alert could not be recorded; it will be tried again");
        }
        // What `wait_for` gives holds the head still: it must be gone before anything else is waited for.
        let happened = tokio::select! {
            _ = every.tick() => false,
            changed = head.wait_for(|head| head.position > seen) => if changed.is_ok() { true } else { return },
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        if happened {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What a crash left in the vault is destroyed: before anybody can make a channel, whose secret lies there sooner than the log knows.
pub async fn sweep(app: &Data) {
    let known = app.host.durable.read(|fold| {
        if fold.truth.is_quarantined(&StreamId::Alerts) {
            return None;
        }
        let channels = fold.truth.alerts().into_iter().flat_map(|alerts| alerts.channels.values());
        Some(channels.filter_map(|channel| channel.is.secret).collect::<BTreeSet<CredentialId>>())
    });
    let Some(known) = known else { return };
    if let Err(error) = app.keys.sweep_kind(crate::keys::Kind::ChannelSecret, &known).await {
        tracing::warn!(%error, "secrets of channels that are gone could not be destroyed");
    }
}

async fn look(app: &Data, watch: &mut Watch, eyes: &mut Eyes) -> Result<(), Fault> {
    let machine = eyes.machine(app).await;
    let now = app.clock.now();
    let said = app.host.durable.read(|fold| match fold.truth.is_quarantined(&StreamId::Alerts) {
        true => Vec::new(),
        false => watch.look(fold, &machine, now),
    });
    for command in said {
        tell(app, command).await?;
    }
    Ok(())
}

/// Says something to the stream of alerts in the desk's own name, and waits for a while until it is shown. The position where it is.
async fn tell(app: &Data, command: alert::Command) -> Result<Position, Fault> {
    let order = Order::once(StreamId::Alerts, Principal::Desk, Command::Alerts(command), app.clock.now());
    let reply = app.host.ask(order).await?;
    app.host.durable.shows(reply.position, SHOWN_WITHIN).await;
    if let Answer::Refused(denial) = reply.answer {
        tracing::warn!(code = denial.code, detail = denial.detail, "an alert was refused");
    }
    Ok(reply.position)
}
