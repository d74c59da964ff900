//! The actor of one client: moves its flow when there is news, credit or time.

use super::feed::Why;
use super::flow::{Flow, Next};
use super::{Data, Place};
use crate::ambient;
use crate::http::auth::Caller;
use actix::{Actor, ActorContext, AsyncContext, StreamHandler};
use actix_web_actors::ws::{CloseCode, CloseReason, Message, ProtocolError, WebsocketContext};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tidehelm_events::id::Position;

/// A client says no more than this between two Pings.
const MESSAGES_MAX: u32 = 100;

pub struct Session {
    app: Data,
    caller: Caller,
    flow: Flow,
    heard: u32,
    ended: Option<&'static str>,
    _place: Place,
}

/// There may be something to tell.
struct News;
/// The desk stops.
struct Stopping;

/// What a client may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Said {
    Subscribe(Vec<String>),
    Ack(u64),
}

impl Session {
    pub fn new(app: Data, caller: Caller, flow: Flow, place: Place) -> Self {
        Session { app, caller, flow, heard: 0, ended: None, _place: place }
    }

    /// Tells what may be told.
    fn tell(&mut self, context: &mut WebsocketContext<Self>) {
        if self.ended.is_some() {
            return;
        }
        if !self.caller.is_still_known(&self.app) {
            return self.end(context, CloseCode::Policy, "login_needed");
        }
        loop {
            let next = self.flow.next(&self.app.live.feed());
            match next {
                Next::Send(text) => context.text(text),
                Next::Ping => self.ping(context),
                Next::Snapshot(why) => self.begin_anew(why),
                Next::Wait => break,
            }
        }
        self.count();
    }

    fn begin_anew(&mut self, why: Why) {
        self.flow.begin(self.app.live.snapshot(&self.app.host.durable, self.flow.topics, why));
        self.app.metrics.live.snapshots.inc();
    }

    /// Its content says how far the client was told, and proves that whoever answers it has read it.
    fn ping(&mut self, context: &mut WebsocketContext<Self>) {
        let proof = u64::from_be_bytes(ambient::random());
        let content = format!(r#"{{"position":{},"ping":"{proof:016x}"}}"#, self.flow.told());
        context.ping(content.as_bytes());
        self.flow.credit().ping(content.into());
    }

    fn interval_over(&mut self, context: &mut WebsocketContext<Self>) {
        self.heard = 0;
        if !self.flow.credit().interval_over() {
            return self.end(context, CloseCode::Policy, "not_answering");
        }
        self.ping(context);
        self.tell(context);
    }

    fn hear(&mut self, text: &str, context: &mut WebsocketContext<Self>) {
        match serde_json::from_str(text) {
            Ok(Said::Ack(position)) => self.flow.credit().ack(Position(position)),
            Ok(Said::Subscribe(topics)) => self.subscribe(&topics, context),
            Err(error) => {
                let detail = format!("{error}; expected {{\"subscribe\": [topic, …]}} or {{\"ack\": position}}");
                self.answer_error("malformed", &detail, context);
            }
        }
        self.tell(context);
    }

    fn subscribe(&mut self, names: &[String], context: &mut WebsocketContext<Self>) {
        let topics = match super::topics_of(names.iter().map(String::as_str)) {
            Ok(topics) => topics,
            Err(unknown) => return self.answer_error("topic_unknown", &unknown, context),
        };
        let known = std::mem::replace(&mut self.flow.topics, topics);
        let names: Vec<_> = topics.iter().map(|topic| topic.as_str()).collect();
        context.text(self.flow.answer("subscribed", &json!({ "topics": names })));
        if !known.covers(topics) {
            self.begin_anew(Why::Subscribed);
        }
    }

    fn answer_error(&mut self, code: &str, detail: &str, context: &mut WebsocketContext<Self>) {
        context.text(self.flow.answer("error", &json!({"code": code, "detail": detail})));
    }

    /// True if the client may say one thing more.
    fn may_say(&mut self, context: &mut WebsocketContext<Self>) -> bool {
        self.heard += 1;
        if self.heard > MESSAGES_MAX {
            self.end(context, CloseCode::Policy, "too_many_messages");
        }
        self.ended.is_none()
    }

    fn end(&mut self, context: &mut WebsocketContext<Self>, code: CloseCode, why: &'static str) {
        if self.ended.is_none() {
            self.ended = Some(why);
            context.close(Some(CloseReason { code, description: Some(why.into()) }));
        }
        self.count();
        context.stop();
    }

    fn count(&mut self) {
        let (tally, metrics) = (self.flow.take_tally(), &self.app.metrics.live);
        metrics.messages.inc_by(tally.messages);
        metrics.bytes.inc_by(tally.bytes);
        metrics.conflated.inc_by(tally.conflated);
        metrics.gaps.inc_by(tally.gaps);
    }
}

impl Actor for Session {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let news = stream::unfold(self.app.live.subscribe(), |mut news| async move {
            news.changed().await.ok()?;
            Some((News, news))
        });
        context.add_stream(news);
        let stopping = self.app.stopping.clone();
        context.add_stream(stream::once(async move {
            let mut stopping = stopping;
            let _ = stopping.wait_for(|stopping| *stopping).await;
            Stopping
        }));
        let every = self.app.config.http.ws_ping_every.into();
        context.run_interval(every, Session::interval_over);
        self.tell(context);
    }
}

impl StreamHandler<News> for Session {
    fn handle(&mut self, _: News, context: &mut Self::Context) {
        self.tell(context);
    }
}

impl StreamHandler<Stopping> for Session {
    fn handle(&mut self, _: Stopping, context: &mut Self::Context) {
        self.end(context, CloseCode::Away, "stopping");
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Session {
    fn handle(&mut self, message: Result<Message, ProtocolError>, context: &mut Self::Context) {
        if self.ended.is_some() {
            return;
        }
        match message {
            Ok(Message::Pong(content)) => {
                if self.flow.credit().pong(&content) || self.may_say(context) {
                    self.tell(context);
                }
            }
            Ok(Message::Ping(content)) => {
                if self.may_say(context) {
                    context.pong(&content);
                }
            }
            Ok(Message::Text(text)) => {
                if self.may_say(context) {
                    self.hear(&text, context);
                }
            }
            Ok(Message::Binary(_) | Message::Continuation(_)) => {
                if self.may_say(context) {
                    self.answer_error("malformed", "send whole text messages", context);
                }
            }
            Ok(Message::Close(reason)) => {
                self.ended = Some("by_client");
                context.close(reason);
                context.stop();
            }
            Ok(Message::Nop) => {}
            Err(ProtocolError::Overflow) => self.end(context, CloseCode::Size, "message_too_large"),
            Err(_) => self.end(context, CloseCode::Protocol, "protocol_error"),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.app.metrics.live.closed(self.ended.unwrap_or("gone"));
    }
}
