//! Names of rules, channels and what an alert is about. Each is checked once, when it is made.

use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name has 1 to 64 characters of a-z 0-9 _ and -, got `{0}`")]
    Slug(String),
    #[error("a subject has 1 to 200 characters and no control characters, got `{0}`")]
    Subject(String),
    #[error("a pattern is a subject in which * stands for anything, got `{0}`")]
    Pattern(String),
}

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $error:path, $max:literal, $good:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text: String = text.into();
                let good: fn(char) -> bool = $good;
                let length = text.chars().count();
                if !(1..=$max).contains(&length) || !text.chars().all(good) {
                    return Err($error(text.chars().take(80).collect()));
                }
                Ok(Self(text.into_boxed_str()))
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.into()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

fn is_slug(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_'
}

checked_text!(
    /// A rule: `account-offline`.
    RuleId, NameError::Slug, 64, is_slug
);
checked_text!(
    /// A way to people: `ops`.
    ChannelId, NameError::Slug, 64, is_slug
);
checked_text!(
    /// What an alert is about: `slave/IC_Markets_1`, `endpoint/…`, `desk`, `client/192.0.2.7`, `disk/data`.
    Subject, NameError::Subject, 200, |c| !c.is_control()
);
checked_text!(
    /// Subjects: in it `*` stands for any text, `slave/*`.
    Pattern, NameError::Pattern, 200, |c| !c.is_control()
);

impl Subject {
    /// The text, cut and without what a subject cannot have: for names that strangers chose.
    pub fn of(kind: &str, name: &str) -> Self {
        let text: String = format!("{kind}/{name}").chars().filter(|c| !c.is_control()).take(200).collect();
        Subject(text.into_boxed_str())
    }
}

impl Pattern {
    pub fn matches(&self, subject: &Subject) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| subject.0.strip_prefix(first)) else { return false };
        let parts: Vec<&str> = parts.collect();
        let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
        for part in between {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_what_it_says() {
        for (pattern, subject, matches) in [
            ("desk", "desk", true),
            ("desk", "desks", false),
            ("*", "slave/A_1", true),
            ("slave/*", "slave/A_1", true),
            ("slave/*", "master/A_1", false),
            ("*/A_1", "slave/A_1", true),
            ("*/A_1", "slave/A_12", false),
            ("s*e/*_1", "slave/A_1", true),
            ("s*e/*_1", "slave/A_1x", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("**", "x", true),
        ] {
            let (found, given) = (Pattern::new(pattern).unwrap(), Subject::new(subject).unwrap());
            assert_eq!(found.matches(&given), matches, "{pattern} {subject}");
        }
    }

    #[test]
    fn names_are_checked_and_strangers_names_are_cut() {
        for bad in ["", "A", "a b", "a.b", &"x".repeat(65)] {
            assert!(RuleId::new(bad).is_err() && ChannelId::new(bad).is_err(), "{bad}");
        }
        assert!(Subject::new("").is_err() && Subject::new("a\nb").is_err() && Pattern::new("").is_err());
        let long = Subject::of("client", &format!("ä\n{}", "x".repeat(300)));
        assert_eq!((Subject::new(long.as_str()), long.as_str().chars().count()), (Ok(long.clone()), 200));
    }
}
