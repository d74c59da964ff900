//! One event for each outcome of a request: everything that is counted is counted from it.

use super::health::By;
use crate::id::CredentialId;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What became of a request, told once, at its true end. Its endpoint is the stream that it stands in; in the stream `proxy` are
/// those that came to none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestFinished {
    pub request: Uuid,
    /// The run of the proxy that tells it, which no two servers share, and its number there: what is told again has the same and is
    /// counted once.
    pub run: u64,
    pub seq: u64,
    /// As the client named it, or as an alias says.
    pub model: String,
    pub api: Api,
    pub outcome: Outcome,
    /// What the upstream said; none where it said nothing.
    pub http_status: Option<u16>,
    pub tokens: Tokens,
    pub duration: Span,
    /// From the beginning to the first byte of the answer.
    pub first_byte: Option<Span>,
    pub ending: Ending,
    /// Address of the client.
    pub client: Option<String>,
    /// The key that the client showed.
    pub key: Option<CredentialId>,
}

/// Which part of the interface was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    ChatCompletions,
    Completions,
    Embeddings,
    Responses,
    Models,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Success,
    /// The upstream said no, or broke off, or could not be reached.
    UpstreamError,
    Timeout,
    /// The client went away before the end.
    ClientGone,
    /// The proxy itself said no: no such model, no key, no room.
    Refused,
}

impl Outcome {
    pub const ALL: [Outcome; 5] =
        [Outcome::Success, Outcome::UpstreamError, Outcome::Timeout, Outcome::ClientGone, Outcome::Refused];

    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::UpstreamError => "upstream_error",
            Outcome::Timeout => "timeout",
            Outcome::ClientGone => "client_gone",
            Outcome::Refused => "refused",
        }
    }
}

/// How the answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// No byte of it came.
    Nothing,
    /// In one piece, without a stream.
    Whole,
    /// A stream with its end mark.
    StreamEnded,
    /// A stream that the upstream broke off.
    StreamCut,
    /// A stream that the client left.
    StreamLeft,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    pub input: u64,
    pub output: u64,
    pub known: TokensKnown,
}

/// How it is known how many tokens there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokensKnown {
    /// The upstream said so.
    Reported,
    /// By the pieces of the stream.
    Counted,
    /// By the length of the texts.
    Estimated,
    #[default]
    Unknown,
}

impl TokensKnown {
    pub const ALL: [TokensKnown; 4] =
        [TokensKnown::Reported, TokensKnown::Counted, TokensKnown::Estimated, TokensKnown::Unknown];
}

/// More than this in one request is not believed.
const TOKENS_MAX: u64 = 1_000_000_000;
const MODEL_MAX: usize = 128;
const CLIENT_MAX: usize = 64;

impl RequestFinished {
    /// As it may stand in the log: texts of bounded length, no time below zero, no number that nobody believes.
    pub(super) fn bounded(mut self) -> Self {
        self.model = shortened(&self.model, MODEL_MAX);
        self.client = self.client.map(|client| shortened(&client, CLIENT_MAX));
        self.duration = self.duration.max(Span(0));
        self.first_byte = self.first_byte.map(|span| span.clamp(Span(0), self.duration));
        if self.tokens.input > TOKENS_MAX || self.tokens.output > TOKENS_MAX {
            self.tokens = Tokens::default();
        }
        self
    }

    /// What it says of its endpoint: true for good, none where it says nothing.
    pub(super) fn says(&self) -> Option<(bool, By)> {
        match (self.outcome, self.http_status) {
            (Outcome::Success, _) => Some((true, By::Request)),
            (Outcome::Timeout, _) | (Outcome::UpstreamError, None | Some(500..)) => Some((false, By::Request)),
            // The client's fault, or the endpoint's way to say that it is busy: it answers.
            (Outcome::UpstreamError, Some(_)) | (Outcome::ClientGone | Outcome::Refused, _) => None,
        }
    }

    /// Tokens a second, in millionths: only a success that produced some is a sample.
    pub fn speed(&self) -> Option<u64> {
        let counts = self.outcome == Outcome::Success && self.tokens.output > 0 && self.duration > Span(0);
        counts.then(|| per_second(self.tokens.output, self.duration.0.unsigned_abs()))
    }
}

/// In millionths.
pub(crate) fn per_second(tokens: u64, micros: u64) -> u64 {
    let exact = u128::from(tokens) * 1_000_000_000_000 / u128::from(micros.max(1));
    u64::try_from(exact).unwrap_or(u64::MAX)
}

/// The beginning of a text, without control characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn what_a_request_says_of_its_endpoint() {
        use Outcome::*;
        for (outcome, http_status, says) in [
            (Success, Some(200), Some(true)),
            (UpstreamError, None, Some(false)),
            (UpstreamError, Some(500), Some(false)),
            (UpstreamError, Some(503), Some(false)),
            (UpstreamError, Some(599), Some(false)),
            (UpstreamError, Some(499), None),
            (UpstreamError, Some(429), None),
            (UpstreamError, Some(400), None),
            (Timeout, None, Some(false)),
            (Timeout, Some(200), Some(false)),
            (ClientGone, Some(200), None),
            (Refused, None, None),
        ] {
            let finished = RequestFinished { outcome, http_status, ..sample::endpoint::finished(1) };
            assert_eq!(finished.says().map(|(good, _)| good), says, "{outcome:?} {http_status:?}");
        }
    }

    #[test]
    fn only_what_was_produced_by_a_success_is_a_speed() {
        let of = |outcome, output, millis| {
            let tokens = Tokens { input: 9, output, known: TokensKnown::Reported };
            let duration = Span::millis(millis);
            RequestFinished { outcome, tokens, duration, ..sample::endpoint::finished(1) }.speed()
        };
        assert_eq!(of(Outcome::Success, 100, 2_000), Some(50_000_000));
        assert_eq!(of(Outcome::Success, 1, 3_000), Some(333_333));
        assert_eq!(of(Outcome::Success, 0, 2_000), None);
        assert_eq!(of(Outcome::Success, 100, 0), None);
        assert_eq!(of(Outcome::ClientGone, 100, 2_000), None);
        assert_eq!(of(Outcome::Timeout, 100, 2_000), None);
    }

    #[test]
    fn what_nobody_believes_does_not_stand_in_the_log() {
        let lie = RequestFinished {
            model: "m\n".repeat(500),
            client: Some("c".repeat(500)),
            tokens: Tokens { input: 1, output: u64::MAX, known: TokensKnown::Reported },
            duration: Span(-5),
            first_byte: Some(Span(70)),
            ..sample::endpoint::finished(1)
        };
        let bounded = lie.bounded();
        assert_eq!(bounded.model, "m".repeat(128));
        assert_eq!(bounded.client.map(|client| client.len()), Some(64));
        assert_eq!((bounded.tokens, bounded.duration, bounded.first_byte), (Tokens::default(), Span(0), Some(Span(0))));
    }
}
