//! Sends what is due, a few at a time for each channel, and records what became of it.

use super::aside::aside;
use super::guard::Guard;
use super::message::Message;
use super::send::{Failed, Sender, Sent};
use super::{SHOWN_WITHIN, tell};
use crate::ambient::{self, stopwatch};
use crate::http::{App, Data};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidehelm_actors::port::Clock;
use tidehelm_events::alert::{Channel, ChannelId, Command, DeliveryId};
use tidehelm_events::id::StreamId;
use tidehelm_events::time::Span;
use tokio::task::{Id, JoinError, JoinSet};

/// Messages that are being sent to one channel at a time. No channel waits for another.
const AT_ONCE: usize = 2;
const TICK: Duration = Duration::from_millis(200);
/// Who sends has a deadline of its own and says more about why it failed; this one is for what has none.
const GRACE: Duration = Duration::from_millis(500);

/// Sends until the desk stops. What is under way then is sent again after the next start.
pub async fn keep(app: Data) {
    let (mut head, mut stopping) = (app.host.durable.subscribe(), app.stopping.clone());
    let (mut under_way, slots) = (UnderWay::default(), Slots::default());
    loop {
        let seen = head.borrow_and_update().position;
        let (due, waiting) = due(&app, &under_way, &slots);
        for (id, channel, message) in due {
            let slot = slots.take(&id.channel);
            under_way.begin(id.clone(), deliver(app.clone(), id, channel, message, slot));
        }
        tokio::select! {
            Some(ended) = under_way.next() => if let Err(error) = ended {
                tracing::error!(%error, "a message of an alert could not be sent; it is tried again");
                tokio::time::sleep(TICK).await;
            },
            changed = head.wait_for(|head| head.position > seen) => if changed.is_err() { return },
            () = tokio::time::sleep(TICK), if waiting => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// The messages that are being sent, each once.
#[derive(Default)]
struct UnderWay {
    tasks: JoinSet<()>,
    ids: Vec<(Id, DeliveryId)>,
}

impl UnderWay {
    fn begin(&mut self, id: DeliveryId, sending: impl Future<Output = ()> + Send + 'static) {
        let task = self.tasks.spawn(sending).id();
        self.ids.push((task, id));
    }

    fn has(&self, id: &DeliveryId) -> bool {
        self.ids.iter().any(|(_, known)| known == id)
    }

    /// Waits until one ends, however it does; none where nothing is under way.
    async fn next(&mut self) -> Option<Result<(), JoinError>> {
        let ended = self.tasks.join_next_with_id().await?;
        let task = match &ended {
            Ok((task, ())) => *task,
            Err(error) => error.id(),
        };
        self.ids.retain(|(known, _)| *known != task);
        Some(ended.map(|_| ()))
    }
}

/// How many sends each channel has under way, those included that nobody waits for any more.
#[derive(Clone, Default)]
struct Slots(Arc<Mutex<BTreeMap<ChannelId, usize>>>);

/// Taken until the last of its copies is gone: with whoever sends, and with whoever records what became of it.
struct Slot(Slots, ChannelId);

impl Slots {
    fn taken(&self) -> BTreeMap<ChannelId, usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self, channel: &ChannelId) -> Arc<Slot> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(channel.clone()).or_default() += 1;
        Arc::new(Slot(self.clone(), channel.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut slots = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = slots.get_mut(&self.1) {
            *taken -= 1;
        }
        slots.retain(|_, taken| *taken > 0);
    }
}

type Due = (DeliveryId, Channel, Message);

/// What may be sent now, and whether anything waits at all.
fn due(app: &App, under_way: &UnderWay, slots: &Slots) -> (Vec<Due>, bool) {
    let now = app.clock.now();
    app.host.durable.read(|fold| {
        let Some(alerts) = fold.truth.alerts().filter(|_| !fold.truth.is_quarantined(&StreamId::Alerts)) else {
            return (Vec::new(), false);
        };
        let ids = chosen(alerts.due(now).map(|(id, _)| id), under_way, slots.taken());
        let due = ids.into_iter().filter_map(|id| {
            let channel = alerts.channels.get(&id.channel)?;
            Some((id.clone(), channel.is.as_ref().clone(), Message::of(fold, id)?))
        });
        (due.collect(), !alerts.outbox.is_empty())
    })
}

/// As many for each channel as it has room for, in their order.
fn chosen<'a>(
    due: impl Iterator<Item = &'a DeliveryId>,
    under_way: &UnderWay,
    mut taken: BTreeMap<ChannelId, usize>,
) -> Vec<&'a DeliveryId> {
    let mut chosen = Vec::new();
    for id in due {
        let taken = taken.entry(id.channel.clone()).or_default();
        if *taken < AT_ONCE && !under_way.has(id) {
            *taken += 1;
            chosen.push(id);
        }
    }
    chosen
}

async fn deliver(app: Data, id: DeliveryId, channel: Channel, message: Message, slot: Arc<Slot>) {
    let took = stopwatch();
    let outcome = attempt(&app, channel, message, slot.clone()).await;
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
    // Nobody else sends it meanwhile: that it was sent is not forgotten because the log cannot be written now, nor because the state
    // does not show it yet.
    let position = loop {
        match tell(&app, command.clone()).await {
            Ok(position) => break position,
            Err(fault) => tracing::debug!(delivery = %id, %fault, "what became of a message cannot be recorded yet"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    while !app.host.durable.shows(position, SHOWN_WITHIN).await {
        tokio::time::sleep(TICK).await;
    }
    drop(slot);
}

/// One try: also how a person sees whether a channel works. `held` is let go when the thread that tries is at its end, which may be
/// long after nobody waits for it any more.
pub async fn attempt<T: Send + 'static>(
    app: &App,
    channel: Channel,
    message: Message,
    held: T,
) -> Result<Sent, Failed> {
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
    let within = Duration::from(config.send_timeout);
    let sender = Sender { guard: Guard { allow_private: config.allow_private }, within };
    let now = ambient::wall();
    let trying = aside("alert-send", move || {
        let _held = held;
        sender.send(&channel, secret.as_deref(), &message, now)
    });
    let trying = trying.map_err(|error| Failed::for_now(format!("there is no thread to send it: {error}")))?;
    match tokio::time::timeout(within + GRACE, trying).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Failed::for_now("sending it broke off; the log of the desk says more")),
        Err(_) => Err(Failed::for_now(format!("it took longer than {} ms", within.as_millis()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidehelm_events::alert::Edge;
    use tidehelm_events::id::Position;

    fn delivery(alert: u64, channel: &str) -> DeliveryId {
        DeliveryId { alert: Position(alert), edge: Edge::Raised, channel: ChannelId::new(channel).unwrap() }
    }

    #[tokio::test]
    async fn a_channel_that_takes_nothing_holds_up_no_other() {
        let (mut under_way, slots) = (UnderWay::default(), Slots::default());
        let mut due: Vec<_> = (0..20).map(|alert| delivery(alert, "dead")).collect();
        due.push(delivery(20, "ops"));
        let first = chosen(due.iter(), &under_way, slots.taken());
        assert_eq!(first, [&due[0], &due[1], &due[20]]);
        let held: Vec<_> = first.iter().map(|id| slots.take(&id.channel)).collect();
        for id in first {
            under_way.begin(id.clone(), std::future::pending());
        }
        assert!(chosen(due.iter(), &under_way, slots.taken()).is_empty());
        // The try of the first one is over for whoever waits, and its thread goes on.
        let thread = held[0].clone();
        drop(held);
        assert_eq!(chosen(due.iter(), &under_way, slots.taken()), [&due[2]]);
        drop(thread);
        assert_eq!(chosen(due.iter(), &under_way, slots.taken()), [&due[2], &due[3]]);
        assert!(slots.taken().is_empty());
    }

    #[tokio::test]
    async fn one_that_breaks_is_dropped_alone() {
        let mut under_way = UnderWay::default();
        let (broken, good) = (delivery(1, "ops"), delivery(2, "ops"));
        let (go_on, held) = tokio::sync::oneshot::channel::<()>();
        under_way.begin(broken.clone(), async { std::panic::resume_unwind(Box::new("broken")) });
        under_way.begin(good.clone(), async move { held.await.unwrap() });
        assert!(under_way.next().await.is_some_and(|ended| ended.is_err_and(|error| error.is_panic())));
        assert_eq!((under_way.has(&broken), under_way.has(&good)), (false, true));
        go_on.send(()).unwrap();
        assert!(under_way.next().await.is_some_and(|ended| ended.is_ok()));
        assert!(!under_way.has(&good) && under_way.next().await.is_none());
    }
}
