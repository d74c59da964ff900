//! A request on its way: what is known of it so far. However it ends, also where the client only goes away, it is told once.

use super::Proxy;
use super::policy::Admitted;
use super::table::Held;
use super::teller::Turn;
use crate::ambient::{Stopwatch, stopwatch};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tidehelm_events::endpoint::{Api, Ending, Outcome, RequestFinished, Tokens};
use tidehelm_events::id::EndpointId;
use tidehelm_events::time::Span;
use tokio::sync::oneshot;

pub struct Ticket {
    proxy: Arc<Proxy>,
    turn: Option<Turn>,
    started: Stopwatch,
    finished: RequestFinished,
    endpoint: Option<EndpointId>,
    pub admitted: Option<Admitted>,
    pub held: Option<Held>,
    /// A part of the answer may be with the client.
    pub answering: bool,
    /// The end mark of a good stream came: it is a success, whoever leaves now.
    whole: bool,
}

/// How it ended, as the upstream or the proxy said.
pub struct End {
    pub outcome: Outcome,
    pub http_status: Option<u16>,
    pub tokens: Tokens,
    pub ending: Ending,
}

impl End {
    pub fn nothing(outcome: Outcome, http_status: Option<u16>) -> Self {
        End { outcome, http_status, tokens: Tokens::default(), ending: Ending::Nothing }
    }
}

impl Ticket {
    pub fn new(proxy: Arc<Proxy>, turn: Turn, api: Api, client: Option<String>) -> Self {
        let finished = RequestFinished {
            request: proxy.new_name(),
            run: 0,
            seq: 0,
            model: String::new(),
            api,
            outcome: Outcome::ClientGone,
            http_status: None,
            tokens: Tokens::default(),
            duration: Span(0),
            first_byte: None,
            ending: Ending::Nothing,
            client,
            key: None,
        };
        let (started, turn) = (stopwatch(), Some(turn));
        Ticket {
            proxy,
            turn,
            started,
            finished,
            endpoint: None,
            admitted: None,
            held: None,
            answering: false,
            whole: false,
        }
    }

    pub fn proxy(&self) -> &Arc<Proxy> {
        &self.proxy
    }
    pub fn name(&self) -> uuid::Uuid {
        self.finished.request
    }
    pub fn admit(&mut self, admitted: Admitted) {
        self.finished.key = Some(admitted.0.key);
        self.admitted = Some(admitted);
    }
    pub fn asks_for(&mut self, model: &str) {
        self.finished.model = model.into();
    }

    /// An endpoint is asked: from now on the request is its.
    pub fn goes_to(&mut self, held: Held) {
        self.leaves();
        self.endpoint = Some(held.0.id);
        self.finished.first_byte = None;
        self.held = Some(held);
    }

    fn leaves(&mut self) {
        if let Some(held) = self.held.take() {
            self.proxy.freed(held);
        }
    }

    pub fn first_byte(&mut self) {
        self.finished.first_byte = Some(span(self.started.elapsed()));
    }

    /// Tells how it ended. The receiver hears when it is durable, where somebody wants to know.
    pub fn end(mut self, end: End) -> Option<oneshot::Receiver<()>> {
        let durable = self.proxy.settings.durable_answers;
        self.told(end, durable)
    }

    /// As [`Ticket::end`], and waits where answers have to.
    pub async fn end_and_wait(self, end: End) {
        if let Some(durable) = self.end(end) {
            let _ = durable.await;
        }
    }

    fn told(&mut self, end: End, durable: bool) -> Option<oneshot::Receiver<()>> {
        self.leaves();
        let turn = self.turn.take()?;
        let End { outcome, http_status, tokens, ending } = end;
        let duration = span(self.started.elapsed());
        if let Some(admitted) = &self.admitted {
            admitted.0.spend(tokens.input.saturating_add(tokens.output), self.proxy.clock.now());
        }
        let finished = &mut self.finished;
        let (model, client) = (std::mem::take(&mut finished.model), finished.client.take());
        let finished = RequestFinished { outcome, http_status, tokens, ending, duration, model, client, ..*finished };
        turn.tell(self.endpoint, finished, durable)
    }
}

impl Drop for Ticket {
    /// Nobody waits for it any more: the client went away, or we ended it ourselves.
    fn drop(&mut self) {
        if self.turn.is_none() {
            return;
        }
        let ours = self.proxy.stopping.load(Ordering::Acquire);
        let (outcome, ending) = match (self.whole, self.answering, ours) {
            (true, ..) => (Outcome::Success, Ending::StreamEnded),
            (false, false, true) => (Outcome::Refused, Ending::Nothing),
            (false, false, false) => (Outcome::ClientGone, Ending::Nothing),
            (false, true, true) => (Outcome::Refused, Ending::StreamCut),
            (false, true, false) => (Outcome::ClientGone, Ending::StreamLeft),
        };
        let status = self.finished.http_status;
        self.told(End { outcome, http_status: status, tokens: self.finished.tokens, ending }, false);
    }
}

impl Ticket {
    /// What the answer comes to so far: told where the client goes away now.
    pub fn so_far(&mut self, http_status: u16, tokens: Tokens, whole: bool) {
        self.whole = whole;
        (self.finished.http_status, self.finished.tokens) = (Some(http_status), tokens);
    }
}

fn span(took: Duration) -> Span {
    Span(i64::try_from(took.as_micros()).unwrap_or(i64::MAX))
}
