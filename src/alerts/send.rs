//! The ways to people: a signed webhook, a bot, mail. Each call is one try, on a thread that may wait.

use super::email;
use super::guard::{Guard, Guarded};
use super::message::Message;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::time::Duration;
use tidehelm_events::alert::{Channel, Way};
use tidehelm_events::time::Timestamp;
use ureq::unversioned::transport::DefaultConnector;
use zeroize::Zeroizing;

/// No more of an answer is read: what counts is its status.
const ANSWER_MAX: u64 = 16 << 10;
const HEADERS_MAX: usize = 16 << 10;
const SECRET_WORD: &str = "whsec_";

/// A try that went well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub status: Option<u16>,
}

/// A try that did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub why: String,
    /// It will not go better the next time.
    pub hopeless: bool,
}

impl Failed {
    pub fn for_now(why: impl Into<String>) -> Self {
        Failed { why: why.into(), hopeless: false }
    }
    pub fn for_good(why: impl Into<String>) -> Self {
        Failed { why: why.into(), hopeless: true }
    }
}

/// How messages are sent, whichever way.
#[derive(Debug, Clone)]
pub struct Sender {
    pub guard: Guard,
    pub within: Duration,
}

impl Sender {
    /// One try. `now` is the machine's time: receivers compare it with theirs.
    pub fn send(
        &self,
        channel: &Channel,
        secret: Option<&str>,
        message: &Message,
        now: Timestamp,
    ) -> Result<Sent, Failed> {
        match &channel.way {
            Way::Webhook { url } => self.webhook(url, secret.unwrap_or(""), message, now),
            Way::Telegram { base_url, chat } => self.telegram(base_url, chat, secret.unwrap_or(""), message),
            Way::Email { .. } => email::send(self, &channel.way, secret, message),
        }
    }

    /// As <https://www.standardwebhooks.com> says.
    fn webhook(&self, url: &str, secret: &str, message: &Message, now: Timestamp) -> Result<Sent, Failed> {
        let key = key_of(secret).ok_or_else(|| Failed::for_good("its secret is none of a webhook; set it anew"))?;
        let seconds = now.micros().div_euclid(1_000_000);
        let request = self.agent().post(url).header("content-type", "application/json");
        let request = request.header("user-agent", concat!("tidehelm/", env!("CARGO_PKG_VERSION")));
        let request = request.header("webhook-id", &message.id).header("webhook-timestamp", seconds.to_string());
        let request = request.header("webhook-signature", signature(&key, &message.id, seconds, &message.json));
        judged(request.send(message.json.as_str()), "")
    }

    fn telegram(&self, base_url: &str, chat: &str, token: &str, message: &Message) -> Result<Sent, Failed> {
        let url = format!("{}/bot{token}/sendMessage", base_url.trim_end_matches('/'));
        let body = serde_json::json!({"chat_id": chat, "text": message.text, "disable_web_page_preview": true});
        let sent = self.agent().post(&url).header("content-type", "application/json").send(body.to_string());
        judged(sent, token)
    }

    /// A new connection each time, so that each address is checked; no proxy, which would look names up itself; no redirects.
    fn agent(&self) -> ureq::Agent {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(self.within))
            .max_redirects(0)
            .max_idle_connections(0)
            .max_response_header_size(HEADERS_MAX)
            .proxy(None)
            .build();
        ureq::Agent::with_parts(config, DefaultConnector::default(), Guarded::new(self.guard))
    }
}

/// `secret` must not be in what is recorded.
fn judged(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>, secret: &str) -> Result<Sent, Failed> {
    let hidden = |text: &str| if secret.is_empty() { text.to_string() } else { text.replace(secret, "…") };
    let mut answer = answer.map_err(|error| {
        let hopeless = matches!(error, ureq::Error::BadUri(_));
        let why = match &error {
            ureq::Error::Other(why) => why.to_string(),
            other => other.to_string(),
        };
        Failed { hopeless, why: hidden(&why) }
    })?;
    let status = answer.status().as_u16();
    if (200..300).contains(&status) {
        return Ok(Sent { status: Some(status) });
    }
    let said = answer.body_mut().with_config().limit(ANSWER_MAX).read_to_string().unwrap_or_default();
    let said: String = hidden(&said).chars().filter(|c| !c.is_control()).take(120).collect();
    let why = match status {
        300..400 => format!("answered {status}; redirects are not followed, name the place itself"),
        _ if said.is_empty() => format!("answered {status}"),
        _ => format!("answered {status}: {said}"),
    };
    // Whoever is gone says so (410); anything else may come right.
    Err(Failed { why, hopeless: status == 410 })
}

/// `v1,BASE64` over id, time and body.
pub fn signature(key: &[u8], id: &str, seconds: i64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { unreachable!("a key of any length will do") };
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The bytes of `whsec_BASE64`: 24 to 64 of them.
pub fn key_of(secret: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = STANDARD.decode(secret.strip_prefix(SECRET_WORD)?).ok().map(Zeroizing::new)?;
    (24..=64).contains(&bytes.len()).then_some(bytes)
}

/// A new secret of a webhook, as its owner sees it once.
pub fn new_key() -> Zeroizing<String> {
    Zeroizing::new(format!("{SECRET_WORD}{}", STANDARD.encode(crate::ambient::random::<32>())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_24_to_64_bytes_in_base64() {
        assert!(key_of(&new_key()).is_some_and(|key| key.len() == 32));
        for bad in [
            "",
            "whsec_",
            "whsec_AAAA",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_!",
            &format!("whsec_{}", "A".repeat(88)),
        ] {
            assert!(key_of(bad).is_none(), "{bad}");
        }
    }
}
