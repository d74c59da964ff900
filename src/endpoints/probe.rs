//! What an endpoint answers: whether it is there, what kind of server it is, which models it has.
//!
//! Where its kind is known one question will do. Else they are put in the order in which `detect` wants them; and where it
//! answers other than its kind would, it may have become another.

use super::fetch::{Fetched, Fetcher, Trouble};
use super::secrets::Secrets;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tidehelm_actors::port::{Probe, Prober, Question};
use tidehelm_events::endpoint::detect::{Answers, Found, Heard, PATHS, detect, models};
use tidehelm_events::endpoint::{Failure, Kind, ProbeOutcome};
use tidehelm_events::time::Span;

pub struct HttpProber {
    fetcher: Fetcher,
    secrets: Arc<Secrets>,
}

#[async_trait]
impl Prober for HttpProber {
    async fn probe(&self, question: Question) -> Probe {
        let secret = match question.settings.secret {
            None => None,
            Some(id) => match self.secrets.get(id) {
                Some(secret) => Some(secret),
                None => return failed(shut(self.secrets.why_not(id))),
            },
        };
        self.probe_with(&question, secret.as_deref()).await
    }
}

impl HttpProber {
    pub fn new(secrets: Arc<Secrets>) -> Self {
        HttpProber { fetcher: Fetcher, secrets }
    }

    /// The same with a secret that is in no vault, for an endpoint that is not registered.
    pub async fn probe_with(&self, question: &Question, secret: Option<&str>) -> Probe {
        let limit = Duration::from_micros(question.settings.probe_timeout().0.unsigned_abs());
        let visit = Visit { fetcher: &self.fetcher, base_url: &question.settings.base_url, secret };
        let seconds = question.settings.probe_timeout_seconds;
        match tokio::time::timeout(limit, visit.see(question)).await {
            Ok(Ok(probe)) => probe,
            Ok(Err(trouble)) => failed(trouble),
            Err(_) => failed(Trouble::new(Failure::Timeout, format!("no whole answer within {seconds} s"))),
        }
    }
}

fn shut(why: &str) -> Trouble {
    let detail = format!("it is not asked, since its secret cannot be opened ({why}); see `tidehelm secrets status`");
    Trouble::new(Failure::Connect, detail)
}

fn failed(trouble: Trouble) -> Probe {
    let Trouble { failure, detail } = trouble;
    Probe { outcome: ProbeOutcome::Failed { failure, detail }, found: None, models: None }
}

fn answered(took: Duration) -> ProbeOutcome {
    ProbeOutcome::Answered { took: Span(i64::try_from(took.as_micros()).unwrap_or(i64::MAX)) }
}

/// One probe under way.
struct Visit<'a> {
    fetcher: &'a Fetcher,
    base_url: &'a str,
    secret: Option<&'a str>,
}

impl Visit<'_> {
    async fn see(&self, question: &Question) -> Result<Probe, Trouble> {
        let found = question.found.as_ref().map(|found| found.kind);
        match (question.settings.kind, found) {
            (Some(kind), _) => self.confirm(kind).await,
            // Anything speaks HTTP: it may be what is still to come up behind it.
            (None, None | Some(Kind::Http)) => self.find_out().await,
            (None, Some(kind)) => match self.confirm(kind).await {
                Err(trouble) if is_no_such_thing(trouble.failure) => {
                    let other = self.find_out().await.ok();
                    let is_something = |probe: &Probe| probe.found.as_ref().is_some_and(|it| it.kind != Kind::Http);
                    other.filter(is_something).ok_or(trouble)
                }
                confirmed => confirmed,
            },
        }
    }

    async fn get(&self, path: &str) -> Result<Fetched, Trouble> {
        self.fetcher.get(self.base_url, path, self.secret).await
    }

    /// Asks what a server of this kind answers.
    async fn confirm(&self, kind: Kind) -> Result<Probe, Trouble> {
        let fetched = self.get(kind.probe_path()).await?;
        let found = understood(kind, &fetched)?;
        let listed = match kind.models_path() {
            Some(path) if path == kind.probe_path() => models(kind, heard(&fetched)),
            Some(path) => self.get(path).await.ok().and_then(|fetched| models(kind, heard(&fetched))),
            None => None,
        };
        Ok(Probe { outcome: answered(fetched.took), found, models: listed })
    }

    /// Asks until it is clear what it is.
    async fn find_out(&self) -> Result<Probe, Trouble> {
        let mut seen: [Option<Fetched>; PATHS.len()] = Default::default();
        let mut first_trouble = None;
        for (at, path) in PATHS.into_iter().enumerate() {
            match self.get(path).await {
                Ok(fetched) => seen[at] = Some(fetched),
                // Where there is no way there is none for the next question.
                Err(trouble) if matches!(trouble.failure, Failure::Connect | Failure::Tls) => return Err(trouble),
                Err(trouble) => drop(first_trouble.get_or_insert(trouble)),
            }
            if let Some(found) = detect(&answers(&seen)).filter(|found| is_clear(found.kind, at)) {
                return self.found(found, &seen).await;
            }
        }
        let statuses: Vec<u16> = seen.iter().flatten().map(|fetched| fetched.status).collect();
        let locked = statuses.iter().all(|status| matches!(status, 401 | 403));
        match (detect(&answers(&seen)), statuses.first()) {
            (Some(found), Some(_)) if !locked => self.found(found, &seen).await,
            (_, Some(status)) => Err(unwell(*status)),
            (_, None) => Err(first_trouble.unwrap_or_else(|| Trouble::new(Failure::Broken, "no answer"))),
        }
    }

    async fn found(&self, found: Found, seen: &[Option<Fetched>; PATHS.len()]) -> Result<Probe, Trouble> {
        let kind = found.kind;
        let answer_to = |wanted: &str| PATHS.iter().zip(seen).find(|(path, _)| **path == wanted)?.1.as_ref();
        let told = answer_to(kind.probe_path()).or_else(|| seen.iter().flatten().next());
        let took = told.map_or(Duration::ZERO, |fetched| fetched.took);
        let listed = match kind.models_path().map(|path| (path, answer_to(path))) {
            Some((_, Some(fetched))) => models(kind, heard(fetched)),
            Some((path, None)) => self.get(path).await.ok().and_then(|fetched| models(kind, heard(&fetched))),
            None => None,
        };
        Ok(Probe { outcome: answered(took), found: Some(found), models: listed })
    }
}

/// What the answers say is not said otherwise by those that are still to come.
fn is_clear(kind: Kind, asked: usize) -> bool {
    match kind {
        Kind::Xllm => true,
        Kind::LmStudio => asked >= 1,
        // `/v1/models` may say that it is LM Studio.
        Kind::Ollama | Kind::Vllm | Kind::LlamaCpp | Kind::OpenaiCompatible => asked >= 3,
        Kind::Http => false,
    }
}

fn is_no_such_thing(failure: Failure) -> bool {
    matches!(failure, Failure::NotUnderstood | Failure::Status(400 | 404 | 405 | 410 | 501))
}

/// Refuses an answer that a healthy server of the kind would not give. What it says of itself, where it says something.
fn understood(kind: Kind, fetched: &Fetched) -> Result<Option<Found>, Trouble> {
    let most = if kind == Kind::Http { 500 } else { 300 };
    if !(200..most).contains(&fetched.status) {
        return Err(unwell(fetched.status));
    }
    let system = Answers { system: Some(heard(fetched)), ..Answers::default() };
    let found = detect(&system).filter(|found| found.kind == Kind::Xllm);
    let is_it = match kind {
        Kind::Http => return Ok(None),
        Kind::Xllm => found.is_some(),
        Kind::LmStudio | Kind::Ollama | Kind::Vllm | Kind::LlamaCpp | Kind::OpenaiCompatible => {
            models(kind, heard(fetched)).is_some()
        }
    };
    let other = || Trouble::new(Failure::NotUnderstood, format!("it answers other than {} would", kind.as_str()));
    if is_it { Ok(found.filter(|_| kind == Kind::Xllm)) } else { Err(other()) }
}

fn unwell(status: u16) -> Trouble {
    let detail = match status {
        300..=399 => "it sends elsewhere, which is not followed; register the address that it names".into(),
        401 | 403 => "it wants a secret, or another one than it was given".into(),
        404 => "there is nothing of its kind; see that the address and the kind are right".into(),
        _ => format!("it answered with status {status}"),
    };
    Trouble::new(Failure::Status(status), detail)
}

fn heard(fetched: &Fetched) -> Heard<'_> {
    Heard { status: fetched.status, server: fetched.server.as_deref(), body: &fetched.body }
}

fn answers(seen: &[Option<Fetched>; PATHS.len()]) -> Answers<'_> {
    let [system, lm_models, tags, models, root] = seen.each_ref().map(|fetched| fetched.as_ref().map(heard));
    Answers { system, lm_models, tags, models, root }
}

#[cfg(test)]
mod tests;
