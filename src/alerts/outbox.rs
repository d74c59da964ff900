//! Sends what is due, a few at a time, and records what became of it.

use super::guard::Guard;
use super::message::Message;
use super::send::{Failed, Sender, Sent};
use super::tell;
use crate::ambient::{self, stopwatch};
use crate::http::{App, Data};
use std::collections::BTreeSet;
use std::time::Duration;
use tidehelm_actors::port::Clock;
use tidehelm_events::alert::{Channel, Command, DeliveryId};
use tidehelm_events::id::StreamId;
use tidehelm_events::time::Span;
use tokio::task::JoinSet;

/// Messages that are being sent at a time.
const AT_ONCE: usize = 8;
const TICK: Duration = Duration::from_millis(200);

/// Sends until the desk stops. What is under way then is sent again after the next start.
pub async fn keep(app: Data) {
    let (mut head, mut stopping) = (app.host.durable.subscribe(), app.stopping.clone());
    let mut sending: JoinSet<DeliveryId> = JoinSet::new();
    let mut under_way: BTreeSet<DeliveryId> = BTreeSet::new();
    loop {
        let seen = head.borrow_and_update().position;
        let (due, waiting) = due(&app, &under_way, AT_ONCE - under_way.len());
        for (id, channel, message) in due {
            under_way.insert(id.clone());
            sending.spawn(deliver(app.clone(), id, channel, message));
        }
        tokio::select! {
            Some(done) = sending.join_next(), if !sending.is_empty() => match done {
                Ok(id) => drop(under_way.remove(&id)),
                Err(error) => {
                    tracing::error!(%error, "a message of an alert could not be sent; all that are under way are tried again");
                    sending.abort_all();
                    under_way.clear();
                }
            },
            changed = head.wait_for(|head| head.position > seen) => if changed.is_err() { return },
            () = tokio::time::sleep(TICK), if waiting => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

type Due = (DeliveryId, Channel, Message);

/// What may be sent now, and whether anything waits at all.
fn due(app: &App, under_way: &BTreeSet<DeliveryId>, max: usize) -> (Vec<Due>, bool) {
    let now = app.clock.now();
    app.host.durable.read(|fold| {
        let Some(alerts) = fold.truth.alerts().filter(|_| !fold.truth.is_quarantined(&StreamId::Alerts)) else {
            return (Vec::new(), false);
        };
        let due = alerts.due(now).filter(|(id, _)| !under_way.contains(id)).take(max);
        let due = due.filter_map(|(id, _)| {
            let channel = alerts.channels.get(&id.channel)?;
            Some((id.clone(), channel.is.as_ref().clone(), Message::of(fold, id)?))
        });
        (due.collect(), !alerts.outbox.is_empty())
    })
}

async fn deliver(app: Data, id: DeliveryId, channel: Channel, message: Message) -> DeliveryId {
    let took = stopwatch();
    let outcome = attempt(&app, channel, message).await;
    let command = match outcome {
        Ok(Sent { status }) => {
            let took = Span::micros(i64::try_from(took.elapsed().as_micros()).unwrap_or(i64::MAX));
            Command::Delivered { delivery: id.clone(), took, status }
        }
        Err(Failed { why, hopeless }) => {
            tracing::warn!(delivery = %id, why, "a message of an alert was not taken");
            let jitter = u16::from_le_bytes(ambient::random()) % 1_000;
            Command::DeliveryFailed { delivery: id.clone(), why, hopeless, jitter }
        }
    };
    // Nobody else sends it meanwhile: that it was sent is not forgotten because the log cannot be written now.
    while let Err(fault) = tell(&app, command.clone()).await {
        tracing::debug!(delivery = %id, %fault, "what became of a message cannot be recorded yet");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    id
}

/// One try: also how a person sees whether a channel works.
pub async fn attempt(app: &App, channel: Channel, message: Message) -> Result<Sent, Failed> {
    let secret = match channel.secret {
        None => None,
        Some(id) => Some(
            app.keys
                .open_text(crate::keys::Kind::ChannelSecret, id)
                .await
                .map_err(|error| Failed::for_now(error.to_string()))?,
        ),
    };
    let config = &app.config.alerts;
    let sender = Sender { guard: Guard { allow_private: config.allow_private }, within: config.send_timeout.into() };
    let now = ambient::wall();
    let sent = tokio::task::spawn_blocking(move || sender.send(&channel, secret.as_deref(), &message, now));
    sent.await.unwrap_or_else(|error| Err(Failed::for_now(format!("it could not be sent: {error}"))))
}
