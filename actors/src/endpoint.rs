//! The actor of one endpoint: its own timer, and one probe at a time. How the endpoint is says its stream; the actor asks when
//! the stream says that it is due, and tells what it heard.
//!
//! A probe that hangs holds up nobody but its own actor, and that one until the probe's time is over or somebody gives the
//! endpoint another address.

use crate::desk::Host;
use crate::journal::Fault;
use crate::node::{Command, Order};
use crate::port::{Clock, Probe, Prober, Question};
use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture,
};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidehelm_events::answer::{Answer, Denial};
use tidehelm_events::endpoint::detect::Found;
use tidehelm_events::endpoint::{self, Settings};
use tidehelm_events::event::Event;
use tidehelm_events::id::{EndpointId, Position, Principal, StreamId, Version};
use tidehelm_events::time::{Span, Timestamp};
use tokio::sync::oneshot;

/// The log says something else about the endpoint than before; its actor looks again.
#[derive(Message)]
#[rtype(result = "()")]
struct Look;

/// Somebody wants to know now.
#[derive(Message)]
#[rtype(result = "()")]
struct Ask(Asker);

type Asker = oneshot::Sender<Result<Probe, Fault>>;

/// Messages that wait for an actor: with one of them there it looks again in any case, so that a further one is not missed.
const MAILBOX: usize = 16;
/// Who waits for one answer; more are told to come again.
const ASKERS_MAX: usize = 64;
/// Those who are overdue at the start are asked one after the other, this far apart.
const APART: Duration = Duration::from_millis(5);
/// How long until the next try where a probe could not be recorded, or is not shown yet.
const RETRY: Span = Span::seconds(1);
/// The machine's clock may be set: no timer goes longer without a look at it.
const WAIT_MAX: Span = Span::seconds(30);
/// How often everybody is looked at, whatever was heard of them.
const ROUND: Duration = Duration::from_secs(30);
/// How long an actor waits until it is shown what it told.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// The desk, as the actor of an endpoint needs it.
#[async_trait]
pub trait Station: Send + Sync {
    /// What is durable of an endpoint; none where it is not there any more.
    fn sight(&self, id: EndpointId) -> Option<Sight>;
    /// Tells what was heard; it is durable and shown afterwards.
    async fn tell(&self, id: EndpointId, command: endpoint::Command) -> Result<Option<Denial>, Fault>;
}

#[derive(Debug, Clone)]
pub struct Sight {
    pub due: Timestamp,
    pub revision: Version,
    pub settings: Box<Settings>,
    pub found: Option<Found>,
}

/// What the actors have in common.
#[derive(Clone)]
pub struct Tools {
    pub station: Arc<dyn Station>,
    pub prober: Arc<dyn Prober>,
    pub clock: Arc<dyn Clock>,
    /// 0 to 999, as good as random.
    pub jitter: fn() -> u16,
}

pub struct EndpointActor {
    id: EndpointId,
    tools: Tools,
    doing: Doing,
    turn: Turn,
    /// Who wants to know what comes out next.
    asking: Vec<Asker>,
    not_before: Timestamp,
    first_look: Duration,
}

enum Doing {
    Waiting(Option<SpawnHandle>),
    Asking { under_way: SpawnHandle, revision: Version },
    Telling,
}

/// Counts what the actor does: what ends that was begun for something else is not heard any more.
type Turn = u64;

impl EndpointActor {
    pub fn begin(id: EndpointId, tools: Tools, first_look: Duration) -> Addr<Self> {
        EndpointActor::create(|context| {
            context.set_mailbox_capacity(MAILBOX);
            let (doing, asking) = (Doing::Waiting(None), Vec::new());
            EndpointActor { id, tools, doing, turn: 0, asking, not_before: Timestamp::ZERO, first_look }
        })
    }

    /// Asks if it is due or somebody wants to know, else waits until it is.
    fn look(&mut self, context: &mut Context<Self>) {
        let Some(sight) = self.tools.station.sight(self.id) else { return context.stop() };
        match self.doing {
            Doing::Telling => return,
            Doing::Asking { revision, .. } if revision == sight.revision => return,
            // What it would answer now says nothing of the endpoint as it is set.
            Doing::Asking { under_way, .. } | Doing::Waiting(Some(under_way)) => drop(context.cancel_future(under_way)),
            Doing::Waiting(None) => {}
        }
        let wait = sight.due.max(self.not_before).since(self.tools.clock.now());
        match wait <= Span(0) || !self.asking.is_empty() {
            true => self.ask(sight, context),
            false => self.wait(duration(wait.min(WAIT_MAX)), context),
        }
    }

    fn wait(&mut self, time: Duration, context: &mut Context<Self>) {
        let turn = self.next_turn();
        let timer = context.run_later(time, move |actor, context| {
            if actor.turn == turn {
                actor.doing = Doing::Waiting(None);
                actor.look(context);
            }
        });
        self.doing = Doing::Waiting(Some(timer));
    }

    fn ask(&mut self, sight: Sight, context: &mut Context<Self>) {
        let Sight { revision, settings, found, .. } = sight;
        let (turn, prober) = (self.next_turn(), self.tools.prober.clone());
        let probe = async move { prober.probe(Question { settings, found }).await };
        let heard = probe.into_actor(self).map(move |probe, actor, context| {
            if actor.turn == turn {
                actor.tell(probe, revision, context);
            }
        });
        self.doing = Doing::Asking { under_way: context.spawn(heard), revision };
    }

    fn next_turn(&mut self) -> Turn {
        self.turn += 1;
        self.turn
    }

    /// Who asks from now on wants to know what comes after this.
    fn tell(&mut self, probe: Probe, revision: Version, context: &mut Context<Self>) {
        self.doing = Doing::Telling;
        let (id, station, jitter) = (self.id, self.tools.station.clone(), (self.tools.jitter)());
        let askers = std::mem::take(&mut self.asking);
        let told = async move {
            let told = tell(&*station, id, &probe, revision, jitter).await.map(|()| probe);
            (told, askers)
        };
        context.spawn(told.into_actor(self).map(|(told, askers), actor, context| actor.told(told, askers, context)));
    }

    fn told(&mut self, told: Result<Probe, Fault>, askers: Vec<Asker>, context: &mut Context<Self>) {
        if let Err(fault) = &told {
            tracing::warn!(endpoint = %self.id, %fault, "what a probe heard could not be recorded");
        }
        for asker in askers {
            // Who asked may have gone.
            let _ = asker.send(told.clone());
        }
        self.doing = Doing::Waiting(None);
        self.not_before = self.tools.clock.now() + RETRY;
        self.look(context);
    }
}

async fn tell(
    station: &dyn Station,
    id: EndpointId,
    probe: &Probe,
    revision: Version,
    jitter: u16,
) -> Result<(), Fault> {
    let Probe { outcome, found, models } = probe.clone();
    let refused = station.tell(id, endpoint::Command::TakeProbe { outcome, found, revision, jitter }).await?;
    // One that was removed meanwhile has no models.
    let Some(models) = models.filter(|_| refused.is_none()) else { return Ok(()) };
    if let Some(denial) = station.tell(id, endpoint::Command::SyncModels(models)).await? {
        tracing::warn!(endpoint = %id, why = denial.detail, "its models are not taken in");
    }
    Ok(())
}

impl Actor for EndpointActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.wait(self.first_look, context);
    }
}

impl Handler<Look> for EndpointActor {
    type Result = ();

    fn handle(&mut self, _: Look, context: &mut Context<Self>) {
        self.look(context);
    }
}

impl Handler<Ask> for EndpointActor {
    type Result = ();

    fn handle(&mut self, Ask(asker): Ask, context: &mut Context<Self>) {
        if self.asking.len() >= ASKERS_MAX {
            let _ = asker.send(Err(Fault::Overloaded));
            return;
        }
        self.asking.push(asker);
        self.look(context);
    }
}

/// All endpoints that are watched.
#[derive(Clone)]
pub struct Watchers {
    tools: Tools,
    actors: Arc<Mutex<BTreeMap<EndpointId, Addr<EndpointActor>>>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoProbe {
    #[error("there is no endpoint {0}")]
    Unknown(EndpointId),
    #[error("the endpoint was removed, or its watcher begins anew; try again")]
    Gone,
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Watchers {
    pub fn new(tools: Tools) -> Self {
        Watchers { tools, actors: Arc::default() }
    }

    /// Asks an endpoint now; what it answers is recorded. Who asks while a probe is under way gets its answer.
    pub async fn probe(&self, id: EndpointId) -> Result<Probe, NoProbe> {
        let actor = self.lock().get(&id).cloned().ok_or(NoProbe::Unknown(id))?;
        let (sender, receiver) = oneshot::channel();
        actor.try_send(Ask(sender)).map_err(|error| match error {
            actix::prelude::SendError::Full(_) => NoProbe::Fault(Fault::Overloaded),
            actix::prelude::SendError::Closed(_) => NoProbe::Gone,
        })?;
        Ok(receiver.await.map_err(|_| NoProbe::Gone)??)
    }

    /// How many are watched.
    pub fn len(&self) -> usize {
        self.lock().len()
    }
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Has an actor on the current arbiter for each endpoint that is there, and lets it look whenever the log says something of
    /// it, until the desk is gone.
    pub async fn follow(self, host: Host) {
        let (mut head, mut round) = (host.durable.subscribe(), tokio::time::interval(ROUND));
        let mut after: Option<Position> = None;
        loop {
            let position = head.borrow_and_update().position;
            let touched = after.filter(|after| *after <= position).and_then(|after| touched(&host, after));
            match touched {
                Some(ids) => self.look(&ids),
                None => self.look(&self.everybody(&host)),
            }
            after = Some(position);
            tokio::select! {
                changed = head.changed() => if changed.is_err() { return },
                _ = round.tick() => after = None,
            }
        }
    }

    fn everybody(&self, host: &Host) -> BTreeSet<EndpointId> {
        let there = host.durable.read(|fold| fold.truth.directory().iter().collect::<BTreeSet<_>>());
        there.into_iter().chain(self.lock().keys().copied()).collect()
    }

    /// Lets these look; begins those who have no actor, or whose actor failed.
    fn look(&self, ids: &BTreeSet<EndpointId>) {
        let mut begun = 0;
        for id in ids {
            let known = self.lock().get(id).cloned();
            let there = self.tools.station.sight(*id).is_some();
            match known.filter(Addr::connected) {
                Some(actor) => drop(actor.try_send(Look)),
                None if there => {
                    let actor = EndpointActor::begin(*id, self.tools.clone(), APART * begun);
                    begun += 1;
                    self.lock().insert(*id, actor);
                }
                None => {}
            }
            if !there {
                self.lock().remove(id);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<EndpointId, Addr<EndpointActor>>> {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Endpoints of which something was recorded that concerns their watching; none where it is too long ago to say. Requests come by
/// the thousand, and where one changes a status there is an event of that, too.
fn touched(host: &Host, after: Position) -> Option<BTreeSet<EndpointId>> {
    let mut numbers = BTreeSet::new();
    for batch in host.durable.recent(after)? {
        for record in &batch.records {
            match &record.event {
                Event::Endpoint(endpoint::Event::RequestFinished(_) | endpoint::Event::ModelsSynced(_)) => {}
                Event::Endpoint(_) => drop(numbers.insert(record.stream)),
                _ => {}
            }
        }
    }
    let stream = |truth: &tidehelm_events::truth::Truth, number| match truth.names().get(number) {
        Some(StreamId::Endpoint(id)) => Some(*id),
        _ => None,
    };
    Some(host.durable.read(|fold| numbers.into_iter().filter_map(|number| stream(&fold.truth, number)).collect()))
}

/// A running desk as a station.
pub struct OnDesk {
    pub host: Host,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Station for OnDesk {
    fn sight(&self, id: EndpointId) -> Option<Sight> {
        self.host.durable.read(|fold| {
            let endpoint = fold.truth.endpoint(id)?;
            let (due, settings) = (endpoint.probe_due()?, endpoint.settings.clone()?);
            Some(Sight { due, revision: endpoint.revision, settings, found: endpoint.found.clone() })
        })
    }

    async fn tell(&self, id: EndpointId, command: endpoint::Command) -> Result<Option<Denial>, Fault> {
        let (to, command) = (StreamId::Endpoint(id), Command::Endpoint(command));
        let answer = self.host.send(Order::once(to, Principal::Desk, command, self.clock.now()))?;
        let reply = answer.await.unwrap_or(Err(Fault::Stopping))?;
        self.host.durable.shows(reply.position, SHOWN_WITHIN).await;
        Ok(match reply.answer {
            Answer::Done { .. } => None,
            Answer::Refused(denial) => Some(denial),
        })
    }
}

fn duration(span: Span) -> Duration {
    Duration::from_micros(span.0.max(0).unsigned_abs())
}

#[cfg(test)]
mod tests;
