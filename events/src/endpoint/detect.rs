//! What kind of server answers, and which models it has: from answers that somebody else fetched.

use super::event::Model;
use super::request::shortened;
use super::settings::Kind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a server turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub kind: Kind,
    /// As far as it says.
    pub version: Option<String>,
}

/// One answer of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard<'a> {
    pub status: u16,
    /// The header `Server`.
    pub server: Option<&'a str>,
    pub body: &'a [u8],
}

/// What it answered to each question; none where it did not answer, or was not asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answers<'a> {
    /// `GET /api/system`
    pub system: Option<Heard<'a>>,
    /// `GET /api/v1/models`
    pub lm_models: Option<Heard<'a>>,
    /// `GET /api/tags`
    pub tags: Option<Heard<'a>>,
    /// `GET /v1/models`
    pub models: Option<Heard<'a>>,
    /// `GET /`
    pub root: Option<Heard<'a>>,
}

/// Longer bodies are not read.
const BODY_MAX: usize = 4 << 20;
const VERSION_MAX: usize = 64;

/// The paths to ask, in this order; what was heard so far may be enough.
pub const PATHS: [&str; 5] = ["/api/system", "/api/v1/models", "/api/tags", "/v1/models", "/"];

/// What it is: the first of xLLM, LM Studio, Ollama, vLLM, llama.cpp, anything like OpenAI, anything that speaks HTTP. None
/// where nothing came, or only errors.
pub fn detect(answers: &Answers<'_>) -> Option<Found> {
    let plain = |kind| Some(Found { kind, version: None });
    if let Some(version) = answers.system.and_then(|heard| xllm_version(heard.json()?)) {
        return Some(Found { kind: Kind::Xllm, version: Some(version) }.bounded());
    }
    let lists_publishers = answers.lm_models.and_then(Heard::json).is_some_and(|json| has_publishers(&json));
    if lists_publishers || answers.says(&["lm studio", "lmstudio", "lm-studio"], &["organization_owner", "lmstudio"]) {
        return plain(Kind::LmStudio);
    }
    // llama.cpp answers Ollama's question, too, and says in its header what it is.
    let llama_cpp = answers.says(&["llama.cpp", "llama-server"], &["llamacpp", "llama.cpp"]);
    let tags = answers.tags.and_then(Heard::json);
    if !llama_cpp && tags.is_some_and(|json| json.get("models").is_some_and(Value::is_array)) {
        return plain(Kind::Ollama);
    }
    if answers.says(&["vllm"], &["vllm"]) {
        return plain(Kind::Vllm);
    }
    if llama_cpp {
        return plain(Kind::LlamaCpp);
    }
    if answers.models.and_then(Heard::json).is_some_and(|json| json.get("data").is_some_and(Value::is_array)) {
        return plain(Kind::OpenaiCompatible);
    }
    let any = answers.all().any(|heard| heard.status < 500);
    if any { plain(Kind::Http) } else { None }
}

/// The models that an answer to [`Kind::models_path`] lists; none where it is no such list.
pub fn models(kind: Kind, heard: Heard<'_>) -> Option<Vec<Model>> {
    let json = heard.json()?;
    let items = match kind {
        Kind::Ollama => json.get("models"),
        Kind::LmStudio => json.get("data").or_else(|| json.get("models")),
        Kind::Xllm | Kind::Vllm | Kind::LlamaCpp | Kind::OpenaiCompatible => json.get("data"),
        Kind::Http => None,
    };
    Some(items?.as_array()?.iter().filter_map(model).collect())
}

fn model(item: &Value) -> Option<Model> {
    let text = |name: &str| item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let id = text("id").or_else(|| text("key")).or_else(|| text("name")).or_else(|| text("model"))?;
    let number = |name: &str| item.get(name).and_then(Value::as_u64);
    let trained = || item.get("meta").and_then(|meta| meta.get("n_ctx_train")).and_then(Value::as_u64);
    let context = number("max_model_len").or_else(|| number("max_context_length")).or_else(|| number("context_length"));
    Some(Model { id: id.into(), context: context.or_else(trained) })
}

impl<'a> Heard<'a> {
    /// The body of a good answer, where it is JSON.
    fn json(self) -> Option<Value> {
        let good = (200..300).contains(&self.status) && self.body.len() <= BODY_MAX;
        if good { serde_json::from_slice(self.body).ok() } else { None }
    }
}

impl<'a> Answers<'a> {
    fn all(&self) -> impl Iterator<Item = Heard<'a>> {
        [self.system, self.lm_models, self.tags, self.models, self.root].into_iter().flatten()
    }

    /// One of these stands in a header `Server`, or one of those is the owner of its models.
    fn says(&self, servers: &[&str], owners: &[&str]) -> bool {
        let named = self.all().filter_map(|heard| heard.server).map(str::to_ascii_lowercase);
        if named.into_iter().any(|server| servers.iter().any(|known| server.contains(known))) {
            return true;
        }
        let list = self.models.and_then(Heard::json);
        let models = list.as_ref().and_then(|json| json.get("data")?.as_array());
        let mut of = models.into_iter().flatten().filter_map(|model| model.get("owned_by")?.as_str());
        of.any(|owner| owners.iter().any(|known| owner.eq_ignore_ascii_case(known)))
    }
}

impl Found {
    pub(super) fn bounded(self) -> Self {
        Found { version: self.version.map(|version| shortened(&version, VERSION_MAX)), ..self }
    }
}

fn xllm_version(json: Value) -> Option<String> {
    match json.get("xllm_version")? {
        Value::String(version) => Some(version.clone()),
        Value::Number(version) => Some(version.to_string()),
        _ => None,
    }
}

fn has_publishers(json: &Value) -> bool {
    let lists = ["data", "models"].into_iter().filter_map(|name| json.get(name)?.as_array());
    lists.flatten().any(|model| {
        let has = |name: &str| model.get(name).is_some_and(Value::is_string);
        has("publisher") && (has("arch") || has("architecture"))
    })
}
