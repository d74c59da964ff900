//! Which requests somebody means, in words.

use super::Names;
use crate::cli::time::{Moment, parse};
use crate::store::models::{APIS, RequestQuery, Whose, api_str};
use crate::store::{Order, Reader};
use serde::Deserialize;
use std::fmt;
use tidehelm_actors::port::LogFault;
use tidehelm_events::endpoint::{Api, Outcome};
use tidehelm_events::id::{CredentialId, EndpointId, Position};
use tidehelm_events::time::{Span, Timestamp};
use utoipa::IntoParams;
use uuid::Uuid;

/// Each that is given narrows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Name or id of an endpoint; `none`: those that came to no endpoint.
    #[arg(long)]
    pub endpoint: Option<String>,
    #[arg(long)]
    pub model: Option<String>,
    /// `chat_completions`, `completions`, `embeddings`, `responses`, `models` or `other`.
    #[arg(long)]
    pub api: Option<String>,
    /// `success`, `upstream_error`, `timeout`, `client_gone`, `refused`, several parted by commas; `failed`: all but success.
    #[arg(long)]
    pub outcome: Option<String>,
    /// What the upstream said: 200 …
    #[arg(long)]
    pub status: Option<String>,
    /// Address of a client.
    #[arg(long)]
    pub client: Option<String>,
    /// Id of a key.
    #[arg(long)]
    pub key: Option<String>,
    /// Id of a request.
    #[arg(long)]
    pub request: Option<String>,
    /// Not before this: a position or a time, `1234`, `2026-01-31T12:00:00Z`, `10m ago`.
    #[arg(long)]
    pub from: Option<String>,
    /// Before this.
    #[arg(long)]
    pub until: Option<String>,
    /// `newest` or `oldest` first.
    #[arg(long)]
    pub order: Option<String>,
}

/// Why a filter cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    #[error("{field}: {why}")]
    Field { field: &'static str, why: String },
    #[error(transparent)]
    Store(#[from] LogFault),
}

fn wrong(field: &'static str, why: impl fmt::Display) -> FilterError {
    FilterError::Field { field, why: why.to_string() }
}

impl Filter {
    /// What is asked for; `usual` is the order without a word.
    pub async fn query(
        &self,
        reader: &Reader,
        names: &Names,
        now: Timestamp,
        usual: Order,
    ) -> Result<RequestQuery, FilterError> {
        let mut query = self.words(names, usual)?;
        if let Some(text) = &self.from {
            query.after = before("from", text, reader, now).await?;
        }
        if let Some(text) = &self.until {
            query.before = Some(before("until", text, reader, now).await?.next());
        }
        Ok(query)
    }

    fn words(&self, names: &Names, usual: Order) -> Result<RequestQuery, FilterError> {
        let id = |field, text: &Option<String>| {
            let parsed = text.as_deref().map(Uuid::try_parse).transpose();
            parsed.map_err(|_| wrong(field, "an id: a uuid"))
        };
        Ok(RequestQuery {
            endpoint: self.endpoint.as_deref().map(|text| whose(text, names)).transpose()?,
            model: self.model.clone(),
            api: self.api.as_deref().map(api).transpose()?,
            outcomes: self.outcome.as_deref().map(outcomes).transpose()?.unwrap_or_default(),
            http_status: self.status.as_deref().map(status).transpose()?,
            client: self.client.clone(),
            key: id("key", &self.key)?.map(CredentialId),
            request: id("request", &self.request)?,
            order: match self.order.as_deref() {
                None => usual,
                Some("newest") => Order::NewestFirst,
                Some("oldest") => Order::OldestFirst,
                Some(_) => return Err(wrong("order", "`newest` or `oldest`")),
            },
            ..RequestQuery::default()
        })
    }

    /// As it stands in a URL.
    pub fn to_url(&self) -> String {
        let given = [
            ("endpoint", &self.endpoint),
            ("model", &self.model),
            ("api", &self.api),
            ("outcome", &self.outcome),
            ("status", &self.status),
            ("client", &self.client),
            ("key", &self.key),
            ("request", &self.request),
            ("from", &self.from),
            ("until", &self.until),
            ("order", &self.order),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        given.map(|(name, value)| format!("&{name}={}", crate::cli::encoded(value))).collect()
    }
}

fn whose(text: &str, names: &Names) -> Result<Whose, FilterError> {
    if text == "none" {
        return Ok(Whose::Nobody);
    }
    if let Ok(id) = Uuid::try_parse(text) {
        return Ok(Whose::Endpoint(EndpointId(id)));
    }
    // The one that is there before one that was removed.
    let called = names.iter().filter(|(_, named)| named.name.to_lowercase() == text.to_lowercase());
    let by_name = called.min_by_key(|(_, named)| named.removed);
    let id = by_name.and_then(|(id, _)| Uuid::try_parse(id).ok());
    let unknown =
        || wrong("endpoint", format!("no endpoint is called `{}`; name one, or its id, or `none`", shortened(text)));
    id.map(|id| Whose::Endpoint(EndpointId(id))).ok_or_else(unknown)
}

pub fn api(text: &str) -> Result<Api, FilterError> {
    let known = APIS.into_iter().find(|api| api_str(*api) == text);
    known.ok_or_else(|| wrong("api", format!("one of {}", APIS.map(api_str).join(", "))))
}

fn outcomes(text: &str) -> Result<Vec<Outcome>, FilterError> {
    if text == "failed" {
        return Ok(Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Success).collect());
    }
    let one = |word: &str| {
        let known = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == word);
        known.ok_or_else(|| wrong("outcome", format!("of {}, or failed", Outcome::ALL.map(Outcome::as_str).join(", "))))
    };
    text.split(',').map(one).collect()
}

fn status(text: &str) -> Result<u16, FilterError> {
    let number = text.parse().ok().filter(|number| (100..=999).contains(number));
    number.ok_or_else(|| wrong("status", "a status of HTTP: 100 to 999; see `outcome` for what became of a request"))
}

/// The last position that does not belong to what begins at a moment.
async fn before(field: &'static str, text: &str, reader: &Reader, now: Timestamp) -> Result<Position, FilterError> {
    match parse(text, now.millis()).map_err(|error| wrong(field, error))? {
        Moment::Position(position) => Ok(Position(position.saturating_sub(1))),
        Moment::TimeMs(ms) => {
            let time = Timestamp::ZERO + Span::millis(ms);
            Ok(reader.requests_before(time).await?.unwrap_or(Position(0)))
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::Named;
    use std::sync::Arc;

    #[test]
    fn words_say_what_is_meant_and_nonsense_names_its_field() {
        let id = Uuid::from_u128(7);
        let named = |id: Uuid, removed| (id.to_string(), Named { name: "GPU box".into(), removed });
        let names: Names = Arc::new([named(Uuid::from_u128(3), true), named(id, false)].into());
        let filter = |set: fn(&mut Filter)| {
            let mut filter = Filter::default();
            set(&mut filter);
            filter.words(&names, Order::NewestFirst)
        };
        assert_eq!(filter(|_| {}).unwrap(), RequestQuery { order: Order::NewestFirst, ..RequestQuery::default() });
        for (text, expected) in [
            ("gpu BOX", Whose::Endpoint(EndpointId(id))),
            ("00000000-0000-0000-0000-000000000007", Whose::Endpoint(EndpointId(id))),
            ("none", Whose::Nobody),
        ] {
            let query = Filter { endpoint: Some(text.into()), ..Filter::default() }.words(&names, Order::OldestFirst);
            assert_eq!(query.unwrap().endpoint, Some(expected), "{text}");
        }
        let failed = filter(|it| it.outcome = Some("failed".into())).unwrap().outcomes;
        assert!(failed.len() == 4 && !failed.contains(&Outcome::Success));
        let two = filter(|it| it.outcome = Some("timeout,refused".into())).unwrap().outcomes;
        assert_eq!(two, [Outcome::Timeout, Outcome::Refused]);
        type Set = fn(&mut Filter);
        let nonsense: [(&str, Set); 7] = [
            ("endpoint", |it| it.endpoint = Some("attic".into())),
            ("api", |it| it.api = Some("chat".into())),
            ("outcome", |it| it.outcome = Some("success,lost".into())),
            ("status", |it| it.status = Some("success".into())),
            ("key", |it| it.key = Some("thk_1".into())),
            ("request", |it| it.request = Some("1".into())),
            ("order", |it| it.order = Some("up".into())),
        ];
        for (field, set) in nonsense {
            match filter(set) {
                Err(FilterError::Field { field: found, .. }) => assert_eq!(found, field),
                other => panic!("{field}: {other:?}"),
            }
        }
    }
}
