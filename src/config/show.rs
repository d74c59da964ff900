//! What is in force, and what could be said? Both from the one list of settings.

use std::fmt;
use std::ops::Range;

use serde::Serialize;
use serde_json::Value;

use super::load::{Loaded, Origin};
use super::setting::{Kind, SECTIONS, SETTINGS, Setting};

/// One setting as `config show` prints it. A password in the value is masked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub key: &'static str,
    pub value: Value,
    pub origin: Origin,
    pub default: Value,
    pub env: String,
    pub help: &'static str,
}

impl Loaded {
    /// Every setting with its value and who set it, in the order of the list.
    pub fn rows(&self) -> Vec<Row> {
        SETTINGS.iter().map(|setting| self.row(setting)).collect()
    }

    fn row(&self, setting: &Setting) -> Row {
        let value = match &self.values[setting.key] {
            Value::String(text) if setting.is_secret() => masked(text).into(),
            value => value.clone(),
        };
        Row {
            key: setting.key,
            value,
            origin: self.origins[setting.key].clone(),
            default: setting.default_value(),
            env: setting.env(),
            help: setting.help,
        }
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.rows().iter().map(|row| (row.key, (&row.value, &row.origin)))).finish()
    }
}

/// A TOML file that sets nothing: every key with its help and its default, to be uncommented.
pub fn template() -> String {
    let mut text = String::from(
        "# Tidehelm configuration. Every setting is optional; a line shows the default.\n\
         # A variable TIDEHELM_SECTION__KEY has precedence over this file, and --set section.key=value over both.\n",
    );
    for (section, question) in SECTIONS {
        text.push_str(&format!("\n# {question}\n[{section}]\n"));
        for setting in SETTINGS.iter().filter(|setting| setting.section() == *section) {
            // A JSON text, number, truth or list of texts is the same in TOML.
            text.push_str(&format!("\n# {}\n# {}.\n", setting.help, sentence(&setting.kind)));
            text.push_str(&format!("#{} = {}\n", setting.name(), setting.default_value()));
        }
    }
    text
}

fn sentence(kind: &Kind) -> String {
    let expected = kind.expected();
    let mut letters = expected.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The URL with `***` in place of a password, be it after the user or in a parameter. A password that was not encoded as
/// it should be may hold any letter, so in doubt too much is hidden.
pub fn masked(url: &str) -> String {
    let mut shown = String::new();
    let mut done = 0;
    for hidden in passwords(url) {
        if hidden.start >= done {
            shown.push_str(&url[done..hidden.start]);
            shown.push_str("***");
        }
        done = done.max(hidden.end);
    }
    shown + &url[done..]
}

/// The parts of the URL that may be a password, in their order; they may overlap.
fn passwords(url: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let start = url.find("://").map_or(0, |at| at + 3);
    let colon = url[start..].find(':').map_or(url.len(), |at| start + at);
    // With an @ before it, the colon is that of a port.
    if let Some(at) = url.rfind('@')
        && colon < at
        && !url[start..colon].contains('@')
    {
        parts.push(colon + 1..at);
    }
    let mut from = 0;
    for parameter in url.split(['?', '&']) {
        let to = from + parameter.len();
        if let Some((name, value)) = parameter.split_once('=')
            && name.to_lowercase().contains("pass")
        {
            parts.push(to - value.len()..to);
        }
        from = to + 1;
    }
    parts
}
