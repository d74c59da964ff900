//! What a request asks for: its path, and the name of the model in its body, which is otherwise left as it came.

use super::meter;
use super::refusal::Refusal;
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use tidehelm_events::endpoint::{Api, Capability, Settings};

/// Longer names are no names of models.
const MODEL_MAX: usize = 200;

/// Which part of the interface a path is; none where it is none that we pass on.
pub fn api_of(path: &str) -> Option<Api> {
    Some(match path.trim_end_matches('/') {
        "/v1/chat/completions" => Api::ChatCompletions,
        "/v1/completions" => Api::Completions,
        "/v1/embeddings" => Api::Embeddings,
        "/v1/responses" => Api::Responses,
        "/v1/models" => Api::Models,
        _ => return None,
    })
}

/// The path at the upstream.
pub fn path_of(api: Api) -> &'static str {
    match api {
        Api::ChatCompletions => "/v1/chat/completions",
        Api::Completions => "/v1/completions",
        Api::Embeddings => "/v1/embeddings",
        Api::Responses => "/v1/responses",
        Api::Models | Api::Other => "/v1/models",
    }
}

#[derive(Debug)]
pub struct Asked {
    pub body: Bytes,
    pub model: String,
    /// Where the name stands in the body, quotes included.
    at: Range<usize>,
    tools: bool,
}

/// What we look at. `model` may stand there once, whatever its letters: an upstream may take one of two for the other.
#[derive(Default)]
struct Fields<'a> {
    model: Option<&'a RawValue>,
    tools: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match &*name {
                "model" if fields.model.is_none() => fields.model = Some(map.next_value()?),
                other if other.eq_ignore_ascii_case("model") => {
                    return Err(A::Error::custom("it has to name one `model`, in small letters"));
                }
                "tools" => fields.tools |= map.next_value::<Option<IgnoredAny>>()?.is_some(),
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(fields)
    }
}

impl Asked {
    pub fn read(body: Bytes) -> Result<Self, Refusal> {
        let bad = |why: String| {
            Refusal::new(400, "invalid_body", format!("the body is not the JSON that it should be: {why}"))
        };
        // A list would be taken for its fields in their order.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(bad("it has to be an object".into()));
        }
        let fields: Fields<'_> = serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))?;
        let named = fields.model.and_then(|raw| Some((raw, serde_json::from_str::<Cow<'_, str>>(raw.get()).ok()?)));
        let named =
            named.filter(|(_, name)| (1..=MODEL_MAX).contains(&name.len()) && !name.chars().any(char::is_control));
        let Some((raw, model)) = named else {
            let why = "`model` has to be the name of a model, such as `GET /v1/models` lists";
            return Err(Refusal::new(400, "model_missing", why).of("model"));
        };
        let from = raw.get().as_ptr() as usize - body.as_ptr() as usize;
        let (at, model) = (from..from + raw.get().len(), model.into_owned());
        let tools = fields.tools;
        Ok(Asked { model, at, tools, body })
    }

    /// The body with another name in the place of the one that stands there, and nothing else changed.
    pub fn meaning(&self, model: &str) -> Bytes {
        if model == self.model {
            return self.body.clone();
        }
        let name = serde_json::Value::from(model).to_string();
        [&self.body[..self.at.start], name.as_bytes(), &self.body[self.at.end..]].concat().into()
    }

    /// True if an endpoint is said to be able to do this.
    pub fn fits(&self, api: Api, settings: &Settings) -> bool {
        let usual = match api {
            Api::ChatCompletions => Capability::Chat,
            Api::Completions => Capability::Completions,
            Api::Embeddings => Capability::Embeddings,
            Api::Responses => Capability::Responses,
            Api::Models | Api::Other => return true,
        };
        settings.capabilities.is_empty()
            || settings.can(usual)
                && (!self.tools || settings.can(Capability::Tools))
                && (settings.can(Capability::Vision) || !meter::shows_pictures(&self.body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &str) -> Result<Asked, Refusal> {
        Asked::read(Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn only_the_name_of_the_model_is_replaced() {
        for (body, replaced) in [
            (r#"{"model":"fast","x":1.00}"#, r#"{"model":"llama \"3\"","x":1.00}"#),
            (
                r#"{ "messages":[{"model":"fast"}],  "model" :  "f\u0061st" , "n":1e2 }"#,
                r#"{ "messages":[{"model":"fast"}],  "model" :  "llama \"3\"" , "n":1e2 }"#,
            ),
        ] {
            let asked = asked(body).unwrap();
            assert_eq!(asked.model, "fast");
            assert_eq!(asked.meaning("llama \"3\""), replaced);
            assert_eq!(asked.meaning("fast"), body);
        }
    }

    #[test]
    fn what_names_no_model_is_refused() {
        for (body, code) in [
            ("", "invalid_body"),
            ("[]", "invalid_body"),
            (r#"["a",null]"#, "invalid_body"),
            ("{}", "model_missing"),
            (r#"{"model":""}"#, "model_missing"),
            (r#"{"model":7}"#, "model_missing"),
            (r#"{"model":null}"#, "model_missing"),
            (r#"{"model":"a","model":"b"}"#, "invalid_body"),
            (r#"{"model":"a","Model":"b"}"#, "invalid_body"),
            (r#"{"MODEL":"b","model":"a"}"#, "invalid_body"),
            (r#"{"model":"a","mod\u0065l":"b"}"#, "invalid_body"),
            (r#"{"model":null,"model":"b"}"#, "invalid_body"),
            (r#"{"model":"a"} x"#, "invalid_body"),
            (r#"{"model":"a""#, "invalid_body"),
            ("{\"model\":\"a\\u0007\"}", "model_missing"),
        ] {
            let refusal = asked(body).unwrap_err();
            assert_eq!(refusal.code, code, "{body}: {}", refusal.message);
        }
        // However deep something is nested: it is passed over without a call for each step.
        let deep = format!("{{\"model\":\"a\",\"x\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(asked(&deep).unwrap().model, "a");
    }

    #[test]
    fn an_endpoint_that_says_what_it_can_is_asked_for_nothing_else() {
        let with = |capabilities: &[Capability]| Settings {
            capabilities: capabilities.iter().copied().collect(),
            ..Settings::default()
        };
        let (chat, picture) = (r#"{"model":"a"}"#, r#"{"model":"a","m":[{"type":"image_url","image_url":{}}]}"#);
        let tools = r#"{"model":"a","tools":[]}"#;
        use Capability::*;
        for (body, able, fits) in [
            (picture, &[][..], true),
            (chat, &[Chat], true),
            (chat, &[Embeddings], false),
            (picture, &[Chat], false),
            (picture, &[Chat, Vision], true),
            (tools, &[Chat, Vision], false),
            (tools, &[Chat, Tools], true),
        ] {
            assert_eq!(asked(body).unwrap().fits(Api::ChatCompletions, &with(able)), fits, "{body} {able:?}");
        }
    }
}
