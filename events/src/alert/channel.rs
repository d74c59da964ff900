//! Channels: ways to people. What proves to them that it is us is sealed elsewhere; here is only its name.

use super::command::Refusal;
use super::rule::Severity;
use crate::id::CredentialId;
use serde::{Deserialize, Serialize};

const TEXT_MAX: usize = 2_000;
const URL_WANTED: &str = "a URL that begins with https:// or http://, without a name or password before the host";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    pub way: Way,
    pub enabled: bool,
    /// What is less severe is not told here.
    pub severity_min: Severity,
    /// So often one message is tried before it is given up.
    pub attempts_max: u32,
    /// The first repeat comes after so long, each further one after three times as long as the one before.
    pub retry_seconds: u32,
    /// Name of the sealed secret: the key of a webhook, the token of a bot, the password of a mail server.
    pub secret: Option<CredentialId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Way {
    /// POST with a signature, as Standard Webhooks says.
    Webhook { url: String },
    /// A message of a bot.
    Telegram {
        /// Where the bot API is.
        base_url: String,
        chat: String,
    },
    Email {
        host: String,
        port: u16,
        tls: Tls,
        /// None: the server wants no login.
        user: Option<String>,
        from: String,
        to: Vec<String>,
    },
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// From the first byte.
    Wrapped,
    Starttls,
    /// Not at all: on this machine only.
    Off,
}

impl Way {
    pub fn kind(&self) -> &'static str {
        match self {
            Way::Webhook { .. } => "webhook",
            Way::Telegram { .. } => "telegram",
            Way::Email { .. } => "email",
        }
    }

    /// Who is spoken to, and how: what a secret was given for.
    pub fn place(&self) -> String {
        let of = |url: &str| match url.split_once("://") {
            Some((scheme, rest)) => format!("{scheme}://{}", authority(rest)).to_ascii_lowercase(),
            None => url.into(),
        };
        match self {
            Way::Webhook { url } => of(url),
            Way::Telegram { base_url, .. } => of(base_url),
            Way::Email { host, port, tls, .. } => format!("{}:{port} {tls:?}", host.to_ascii_lowercase()),
        }
    }
}

impl Channel {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let invalid = |field, why: &str| Err(Refusal::SettingInvalid { field, why: why.into() });
        if !(1..=20).contains(&self.attempts_max) {
            return invalid("attempts_max", "1 to 20");
        }
        if !(1..=3600).contains(&self.retry_seconds) {
            return invalid("retry_seconds", "1 to 3600");
        }
        let url = |text: &str| {
            let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            let good =
                |rest: &str| !authority(rest).is_empty() && !rest.contains(|c: char| c.is_whitespace() || c == '\\');
            is_text(text) && rest.is_some_and(|rest| good(rest) && !authority(rest).contains('@'))
        };
        match &self.way {
            Way::Webhook { url: at } if !url(at) => invalid("url", URL_WANTED),
            Way::Webhook { .. } if self.secret.is_none() => invalid("secret", "a webhook signs with a secret"),
            Way::Webhook { .. } => Ok(()),
            Way::Telegram { base_url, .. } if !url(base_url) => invalid("base_url", URL_WANTED),
            Way::Telegram { chat, .. } if !is_text(chat) => invalid("chat", "the id of a chat, or @NAME"),
            Way::Telegram { .. } if self.secret.is_none() => invalid("secret", "the token of the bot"),
            Way::Telegram { .. } => Ok(()),
            Way::Email { host, .. } if !is_text(host) => invalid("host", "the name of a mail server"),
            Way::Email { from, .. } if !is_address(from) => invalid("from", "an address such as desk@example.com"),
            Way::Email { to, .. } if !(1..=20).contains(&to.len()) || !to.iter().all(|to| is_address(to)) => {
                invalid("to", "1 to 20 addresses such as anna@example.com")
            }
            Way::Email { user: Some(user), .. } if !is_text(user) => invalid("user", "a name"),
            Way::Email { user: Some(_), .. } if self.secret.is_none() => invalid("secret", "a login has a password"),
            Way::Email { .. } => Ok(()),
        }
    }
}

/// Host and port of what follows the scheme.
fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or("")
}

fn is_text(text: &str) -> bool {
    (1..=TEXT_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn is_address(text: &str) -> bool {
    let parts = text.split_once('@');
    is_text(text)
        && parts.is_some_and(|(who, at)| !who.is_empty() && !at.is_empty() && !text.contains(char::is_whitespace))
}
