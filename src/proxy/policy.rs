//! What a key opens, and how much of it is used up. What is used is counted from the start of the server on.

use super::refusal::Refusal;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tidehelm_events::desk::KeyScope;
use tidehelm_events::endpoint::Api;
use tidehelm_events::id::CredentialId;
use tidehelm_events::time::Timestamp;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 86_400_000_000;

pub struct Policy {
    pub key: CredentialId,
    scope: KeyScope,
    in_flight: AtomicU32,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    minute: i64,
    requests: u32,
    day: i64,
    tokens: u64,
}

/// A request under this key. It counts as in flight until this is dropped.
pub struct Admitted(pub Arc<Policy>);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Policy {
    pub fn new(key: CredentialId, scope: KeyScope) -> Arc<Self> {
        Arc::new(Policy { key, scope, in_flight: AtomicU32::new(0), used: Mutex::default() })
    }

    /// Refuses in this order: an interface that it does not open, too many at a time, too many in this minute, too many tokens
    /// today.
    pub fn admit(self: &Arc<Self>, api: Api, now: Timestamp) -> Result<Admitted, Refusal> {
        if !self.scope.apis.is_empty() && !self.scope.apis.contains(&api) {
            return Err(Refusal::new(403, "api_not_allowed", "this key does not open this interface"));
        }
        let most = if self.scope.in_flight_max == 0 { u32::MAX } else { self.scope.in_flight_max };
        let next = |taken: u32| (taken < most).then_some(taken + 1);
        if self.in_flight.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_err() {
            let why = format!("this key may have {most} requests at a time; wait for one of them");
            return Err(Refusal::new(429, "key_in_flight", why).again_in(1));
        }
        let admitted = Admitted(self.clone());
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.turn(now);
        let (requests, tokens) = (self.scope.requests_per_minute, self.scope.tokens_per_day);
        if requests > 0 && used.requests >= requests {
            let why = format!("this key may ask {requests} times a minute");
            return Err(Refusal::new(429, "key_requests", why).again_in(seconds_to_next(now, MINUTE)));
        }
        if tokens > 0 && used.tokens >= tokens {
            let why = format!("this key has used its {tokens} tokens of this day (UTC)");
            return Err(Refusal::new(429, "key_tokens", why).again_in(seconds_to_next(now, DAY)));
        }
        used.requests = used.requests.saturating_add(1);
        Ok(admitted)
    }

    /// True if one of the names may be asked for: as the client says it, or as an alias means it.
    pub fn opens(&self, names: &[&str]) -> bool {
        let models = &self.scope.models;
        let fits =
            |rule: &String, name: &str| rule.strip_suffix('*').map_or(rule == name, |start| name.starts_with(start));
        models.is_empty() || names.iter().any(|name| models.iter().any(|rule| fits(rule, name)))
    }

    pub fn spend(&self, tokens: u64, now: Timestamp) {
        if self.scope.tokens_per_day > 0 {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.turn(now);
            used.tokens = used.tokens.saturating_add(tokens);
        }
    }
}

impl Used {
    fn turn(&mut self, now: Timestamp) {
        let (minute, day) = (now.0.div_euclid(MINUTE), now.0.div_euclid(DAY));
        if self.minute != minute {
            (self.minute, self.requests) = (minute, 0);
        }
        if self.day != day {
            (self.day, self.tokens) = (day, 0);
        }
    }
}

fn seconds_to_next(now: Timestamp, every: i64) -> u32 {
    let left = every - now.0.rem_euclid(every);
    u32::try_from(left.div_euclid(1_000_000) + 1).unwrap_or(u32::MAX)
}

/// Policies of the keys that were seen since the start.
#[derive(Default)]
pub struct Policies(RwLock<HashMap<CredentialId, Arc<Policy>>>);

impl Policies {
    /// The key's policy; `scope` is asked the first time.
    pub fn get(&self, key: CredentialId, scope: impl FnOnce() -> Option<KeyScope>) -> Option<Arc<Policy>> {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Some(known.clone());
        }
        let new = Policy::new(key, scope()?);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Some(all.entry(key).or_insert(new).clone())
    }

    pub fn forget(&self, key: CredentialId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    fn policy(scope: KeyScope) -> Arc<Policy> {
        Policy::new(CredentialId(uuid::Uuid::from_u128(1)), scope)
    }

    fn code(admitted: Result<Admitted, Refusal>) -> &'static str {
        admitted.map_or_else(|refusal| refusal.code, |_| "")
    }

    #[test]
    fn a_key_opens_what_its_scope_names() {
        let scope = KeyScope {
            models: ["fast".to_string(), "qwen*".into()].into(),
            apis: [Api::ChatCompletions].into(),
            ..KeyScope::default()
        };
        let policy = policy(scope);
        for (names, opens) in [
            (&["fast", "llama-3"][..], true),
            (&["llama-3"], false),
            (&["qwen3-8b"], true),
            (&["qwe"], false),
            (&["faster"], false),
        ] {
            assert_eq!(policy.opens(names), opens, "{names:?}");
        }
        assert_eq!(code(policy.admit(Api::Embeddings, NOW)), "api_not_allowed");
        assert_eq!(code(policy.admit(Api::ChatCompletions, NOW)), "");
        assert!(self::policy(KeyScope::default()).opens(&["anything"]));
    }

    #[test]
    fn each_limit_holds_and_ends() {
        let policy =
            policy(KeyScope { requests_per_minute: 3, in_flight_max: 1, tokens_per_day: 100, ..KeyScope::default() });
        let first = policy.admit(Api::Models, NOW);
        assert_eq!(code(policy.admit(Api::Models, NOW)), "key_in_flight");
        drop(first);
        assert_eq!(code(policy.admit(Api::Models, NOW)), "");
        assert_eq!(code(policy.admit(Api::Models, NOW)), "", "the one that was refused did not count");
        assert_eq!(code(policy.admit(Api::Models, NOW)), "key_requests");
        let later = NOW + tidehelm_events::time::Span(MINUTE);
        policy.spend(99, later);
        assert_eq!(code(policy.admit(Api::Models, later)), "");
        policy.spend(1, later);
        assert_eq!(code(policy.admit(Api::Models, later)), "key_tokens");
        assert_eq!(code(policy.admit(Api::Models, NOW + tidehelm_events::time::Span(DAY))), "");
    }
}
