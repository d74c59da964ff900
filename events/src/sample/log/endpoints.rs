//! The endpoints of a random day.

use super::*;
use crate::endpoint::detect::Found;
use crate::endpoint::{
    Api, Command, Failure, Kind, Outcome, ProbeOutcome, ProxyCommand, ProxySettings, RequestFinished, Tokens,
    TokensKnown,
};
use crate::sample::endpoint::{endpoint_id, finished, model, settings};

const NAMES: [&str; 4] = ["attic", "cellar", "Attic", "garage"];

/// Something about one of four endpoints, two of which cannot have their names at the same time, or about the proxy.
pub(super) fn step(log: &mut Log, what: u8, whom: u8, with: u8) -> Result<usize, Denial> {
    let number = u64::from(whom) % 4;
    // Who is removed is gone for good: the next one comes under another id.
    let mut ids = (0..).map(|time| endpoint_id(number + time * 4));
    let is_gone = |id: &EndpointId| log.fold.truth.endpoint(*id).is_some_and(|known| known.removed_at.is_some());
    let id = ids.find(|id| !is_gone(id)).unwrap();
    let jitter = u16::from(with) * 3;
    let command = match what {
        0 => match with % 16 {
            0 => Command::Remove,
            1 => Command::Reset,
            2..=4 => Command::SyncModels(vec![model("b"), model(if with & 16 == 0 { "a" } else { "c" })]),
            5..=7 => changed(number, with),
            _ => Command::Register(Box::new(settings(NAMES[number as usize]))),
        },
        1 | 2 | 6 => {
            let revision = log.fold.truth.endpoint(id).map_or(Version(0), |endpoint| endpoint.revision);
            let outcome = match with % 3 {
                0 => ProbeOutcome::Failed { failure: Failure::Connect, detail: "refused".into() },
                _ => ProbeOutcome::Answered { took: Span::millis(with.into()) },
            };
            let found = with.is_multiple_of(5).then_some(Found { kind: Kind::Ollama, version: None });
            Command::TakeProbe { outcome, found, revision, jitter }
        }
        3..=5 => Command::FinishRequest { finished: Box::new(request(log, with)), jitter },
        _ if with.is_multiple_of(8) => {
            let zone = ["UTC", "Asia/Tokyo"][usize::from(with / 8) % 2].into();
            let settings = ProxySettings { zone, ..ProxySettings::default() };
            return log.proxy(ProxyCommand::Change(Box::new(settings)));
        }
        _ => {
            let finished = RequestFinished { outcome: Outcome::Refused, ..request(log, with) };
            return log.proxy(ProxyCommand::FinishRequest(Box::new(finished)));
        }
    };
    log.endpoint(id, command)
}

fn changed(number: u64, with: u8) -> Command {
    let name = NAMES[number as usize];
    let moved = crate::endpoint::Settings {
        base_url: format!("http://{name}.example:{}", 9_000 + u32::from(with)),
        ..settings(name)
    };
    Command::Change(Box::new(moved))
}

fn request(log: &Log, with: u8) -> RequestFinished {
    let outcome = Outcome::ALL[usize::from(with / 2).min(24) % 5];
    let output = u64::from(with) * 3;
    RequestFinished {
        outcome,
        // Now and then one is told again.
        seq: if with % 16 == 15 { 1 } else { log.records.len() as u64 + 1 },
        model: ["a", "b", "c"][usize::from(with) % 3].into(),
        api: if with.is_multiple_of(4) { Api::Embeddings } else { Api::ChatCompletions },
        http_status: (outcome != Outcome::Timeout).then_some(200 + u16::from(with) * 2),
        tokens: Tokens { input: 5, output, known: TokensKnown::ALL[usize::from(with) % 4] },
        duration: Span::millis(i64::from(with) * 7),
        client: (!with.is_multiple_of(7)).then(|| format!("192.0.2.{}", with % 7)),
        ..finished(1)
    }
}
