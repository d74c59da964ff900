//! What is answered: heads, bodies and pieces of streams, as text.

use super::{Behaviour, Usage};
use crate::fleet::rng::Rng;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write;
use tidehelm_events::endpoint::Kind;

/// What of a request counts here.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    pub model: String,
    #[serde(default)]
    pub stream: bool,
    #[serde(default)]
    pub max_tokens: Option<u32>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
}

#[derive(Debug, Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    Chat,
    Completions,
    Embeddings,
    Responses,
}

impl Api {
    pub fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/v1/chat/completions" => Api::Chat,
            "/v1/completions" => Api::Completions,
            "/v1/embeddings" => Api::Embeddings,
            "/v1/responses" => Api::Responses,
            _ => return None,
        })
    }
}

const WORDS: [&str; 8] = ["tide ", "helm ", "wind ", "sail ", "keel ", "mast ", "rope ", "deck "];
/// What a liar says that it used.
const LIE: u64 = 9_000_000_000_000_000;
/// What a prompt comes to, whatever stands in it.
const PROMPT: u64 = 12;

/// An answer as far as it is known before it is written.
pub struct Made {
    pub status: u16,
    pub content_type: &'static str,
    /// In one piece, or one for each token and what belongs to the end.
    pub pieces: Vec<String>,
}

impl Made {
    fn whole(status: u16, body: String) -> Self {
        Made { status, content_type: "application/json", pieces: vec![body] }
    }

    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let error = json!({"error": {"message": message, "type": "upstream_error", "param": null, "code": code}});
        Made::whole(status, error.to_string())
    }
}

/// The answer to a question about the server itself; none where this kind of server does not know the path.
pub fn about_itself(behaviour: &Behaviour, path: &str) -> Option<Made> {
    let body = match (behaviour.kind, path) {
        (Kind::Xllm, "/api/system") => json!({"xllm_version": "0.9.1", "gpus": []}),
        (Kind::LmStudio, "/api/v1/models" | "/api/v0/models") => {
            let model =
                |id: &String| json!({"id": id, "publisher": "lab", "arch": "llama", "max_context_length": 8192});
            json!({"data": behaviour.models.iter().map(model).collect::<Vec<_>>()})
        }
        (Kind::Ollama, "/api/tags") => {
            let model = |id: &String| json!({"name": id, "model": id, "size": 1});
            json!({"models": behaviour.models.iter().map(model).collect::<Vec<_>>()})
        }
        (Kind::Http, "/") => json!({"ok": true}),
        (Kind::Http, _) => return None,
        (_, "/v1/models") => {
            let model =
                |id: &String| json!({"id": id, "object": "model", "created": 1, "owned_by": owner(behaviour.kind)});
            json!({"object": "list", "data": behaviour.models.iter().map(model).collect::<Vec<_>>()})
        }
        _ => return None,
    };
    Some(Made::whole(200, body.to_string()))
}

fn owner(kind: Kind) -> &'static str {
    match kind {
        Kind::Vllm => "vllm",
        Kind::LlamaCpp => "llamacpp",
        Kind::LmStudio => "organization_owner",
        Kind::Xllm | Kind::Ollama | Kind::OpenaiCompatible | Kind::Http => "library",
    }
}

/// What stands in the header `Server`.
pub fn server(kind: Kind) -> &'static str {
    match kind {
        Kind::LlamaCpp => "llama.cpp",
        Kind::Vllm => "vllm",
        _ => "simulated",
    }
}

/// The answer of a model.
pub fn of_model(behaviour: &Behaviour, api: Api, asked: &Asked, rng: &mut Rng) -> Made {
    if !behaviour.models.contains(&asked.model) {
        return Made::error(404, "model_not_found", &format!("there is no model `{}` here", asked.model));
    }
    let tokens = asked.max_tokens.unwrap_or(behaviour.tokens).min(behaviour.tokens);
    let words: Vec<&str> = (0..tokens).map(|_| rng.pick(&WORDS).copied().unwrap_or_default()).collect();
    match (api, asked.stream) {
        (Api::Embeddings, _) => embeddings(behaviour, asked, rng),
        (_, false) => whole(behaviour, api, asked, &words),
        (Api::Responses, true) => response_stream(behaviour, asked, &words),
        (_, true) => stream(behaviour, api, asked, &words),
    }
}

/// Input and output, as they are told; none where they are not.
fn told(behaviour: &Behaviour, output: usize) -> Option<(u64, u64)> {
    match behaviour.usage {
        Usage::Told => Some((PROMPT, output as u64)),
        Usage::Kept => None,
        Usage::Lied => Some((LIE, LIE)),
    }
}

fn usage_text(usage: Option<(u64, u64)>, api: Api) -> String {
    let Some((input, output)) = usage else { return String::new() };
    let (one, other) = if api == Api::Responses { ("input", "output") } else { ("prompt", "completion") };
    let total = input + output;
    format!(",\"usage\":{{\"{one}_tokens\":{input},\"{other}_tokens\":{output},\"total_tokens\":{total}}}")
}

fn whole(behaviour: &Behaviour, api: Api, asked: &Asked, words: &[&str]) -> Made {
    let (text, model) = (words.concat(), Value::from(asked.model.as_str()));
    let usage = usage_text(told(behaviour, words.len()), api);
    let body = match api {
        Api::Completions => format!(
            "{{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":{model},\"choices\":[{{\"index\":0,\
             \"text\":\"{text}\",\"finish_reason\":\"stop\"}}]{usage}}}"
        ),
        Api::Responses => format!(
            "{{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"completed\",\"model\":{model},\"output\":[{{\"type\":\
             \"message\",\"role\":\"assistant\",\"content\":[{{\"type\":\"output_text\",\"text\":\"{text}\"}}]}}]{usage}}}"
        ),
        Api::Chat | Api::Embeddings => format!(
            "{{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":{model},\"choices\":[{{\"index\":0,\
             \"message\":{{\"role\":\"assistant\",\"content\":\"{text}\"}},\"finish_reason\":\"stop\"}}]{usage}}}"
        ),
    };
    Made::whole(200, body)
}

fn embeddings(behaviour: &Behaviour, asked: &Asked, rng: &mut Rng) -> Made {
    let vector: Vec<f64> = (0..8).map(|_| rng.between(-1000, 1000) as f64 / 1000.0).collect();
    let mut body = json!({
        "object": "list", "model": asked.model, "data": [{"object": "embedding", "index": 0, "embedding": vector}],
    });
    if let Some((input, _)) = told(behaviour, 0) {
        body["usage"] = json!({"prompt_tokens": input, "total_tokens": input});
    }
    Made::whole(200, body.to_string())
}

fn stream(behaviour: &Behaviour, api: Api, asked: &Asked, words: &[&str]) -> Made {
    let (object, model) = match api {
        Api::Completions => ("text_completion", Value::from(asked.model.as_str())),
        _ => ("chat.completion.chunk", Value::from(asked.model.as_str())),
    };
    let head =
        format!("data: {{\"id\":\"chatcmpl-1\",\"object\":\"{object}\",\"created\":1,\"model\":{model},\"choices\":[");
    let mut pieces: Vec<String> = words
        .iter()
        .map(|word| match api {
            Api::Completions => format!("{head}{{\"index\":0,\"text\":\"{word}\",\"finish_reason\":null}}]}}\n\n"),
            _ => format!("{head}{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}},\"finish_reason\":null}}]}}\n\n"),
        })
        .collect();
    let mut end = match api {
        Api::Completions => format!("{head}{{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}}]}}\n\n"),
        _ => format!("{head}{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n"),
    };
    // As some servers do it, usage also comes unasked.
    let wanted = behaviour.kind != Kind::OpenaiCompatible
        || asked.stream_options.as_ref().is_none_or(|options| options.include_usage);
    let usage = usage_text(told(behaviour, words.len()).filter(|_| wanted), api);
    if !usage.is_empty() {
        let _ = write!(end, "{head}]{usage}}}\n\n");
    }
    end.push_str("data: [DONE]\n\n");
    pieces.push(end);
    Made { status: 200, content_type: "text/event-stream", pieces }
}

fn response_stream(behaviour: &Behaviour, asked: &Asked, words: &[&str]) -> Made {
    let model = Value::from(asked.model.as_str());
    let event = |name: &str, rest: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\",{rest}}}\n\n");
    let created = format!("\"response\":{{\"id\":\"resp_1\",\"model\":{model},\"status\":\"in_progress\"}}");
    let mut pieces = vec![event("response.created", &created)];
    pieces.extend(words.iter().map(|word| event("response.output_text.delta", &format!("\"delta\":\"{word}\""))));
    let usage = usage_text(told(behaviour, words.len()), Api::Responses);
    let done = format!("\"response\":{{\"id\":\"resp_1\",\"model\":{model},\"status\":\"completed\"{usage}}}");
    pieces.push(event("response.completed", &done));
    Made { status: 200, content_type: "text/event-stream", pieces }
}
