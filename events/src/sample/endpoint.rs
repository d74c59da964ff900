//! Values of endpoints for tests.

use super::{Word, credential, uuid, word};
use crate::endpoint::detect::Found;
use crate::endpoint::*;
use crate::id::EndpointId;
use crate::time::Span;

pub fn endpoint_id(number: u64) -> EndpointId {
    EndpointId(uuid(0x0e9d_0000, number))
}

/// With nothing as it is by default.
pub fn settings_in_full() -> Settings {
    Settings {
        name: "GPU box".into(),
        base_url: "https://gpu.example:8443/llm".into(),
        kind: Some(Kind::Vllm),
        secret: Some(credential(14)),
        tags: ["cellar", "fast"].map(String::from).into(),
        notes: "below the stairs".into(),
        capabilities: [Capability::Chat, Capability::Vision].into(),
        health_interval_seconds: 10,
        probe_timeout_seconds: 4,
        inference_timeout_seconds: 90,
        success_threshold: 3,
        failure_threshold: 5,
        weight: 250,
        in_flight_max: 8,
    }
}

/// As few as a person has to set.
pub fn settings(name: &str) -> Settings {
    let base_url = format!("http://{}.example:8000", name.to_lowercase());
    Settings { name: name.into(), base_url, ..Settings::default() }
}

pub fn model(id: &str) -> Model {
    Model { id: id.into(), context: None }
}

/// A success: 100 tokens in 2000 ms.
pub fn finished(seq: u64) -> RequestFinished {
    RequestFinished {
        request: uuid(0x5e90_0000, seq),
        run: 7,
        seq,
        model: "qwen3-8b".into(),
        api: Api::ChatCompletions,
        outcome: Outcome::Success,
        http_status: Some(200),
        tokens: Tokens { input: 40, output: 100, known: TokensKnown::Reported },
        duration: Span::millis(2_000),
        first_byte: Some(Span::millis(150)),
        ending: Ending::StreamEnded,
        client: Some("192.0.2.10".into()),
        key: Some(credential(15)),
    }
}

pub fn endpoint_events() -> Vec<Event> {
    let detail = "connection refused".to_string();
    vec![
        Event::Registered(Registered { settings: Box::new(settings_in_full()) }),
        Event::Changed(Changed { settings: Box::new(settings("attic")) }),
        Event::Removed(Removed {}),
        Event::Probed(Probed {
            outcome: ProbeOutcome::Failed { failure: Failure::Status(503), detail },
            next_in: Span::millis(31_250),
        }),
        Event::StatusChanged(StatusChanged {
            old: Status::Error,
            new: Status::Offline,
            why: Why::Failed(By::Request),
            next_in: Some(Span::millis(28_000)),
        }),
        Event::Identified(Identified { found: Found { kind: Kind::Xllm, version: Some("0.9.1".into()) } }),
        Event::ModelsSynced(ModelsSynced {
            models: vec![model("qwen3-8b"), Model { id: "nomic-embed".into(), context: Some(8_192) }],
        }),
        Event::Reset(Reset {}),
        Event::RequestFinished(Box::new(finished(9))),
        Event::ProxyChanged(ProxyChanged {
            settings: Box::new(ProxySettings {
                zone: "Europe/Athens".into(),
                aliases: [("gpt".to_string(), "qwen3-8b".to_string())].into(),
            }),
        }),
    ]
}

pub fn words(words: &mut Vec<Word>) {
    words.extend(Kind::ALL.map(|kind| word("endpoint_kind", &kind)));
    use Capability::*;
    words.extend([Chat, Completions, Embeddings, Responses, Vision, Tools].map(|it| word("capability", &it)));
    words.extend(Status::ALL.map(|status| word("endpoint_status", &status)));
    words.extend([By::Probe, By::Request].map(|by| word("heard_by", &by)));
    use Failure as No;
    let failures = [No::Connect, No::Tls, No::Timeout, No::Broken, No::Status(503), No::NotUnderstood];
    words.extend(failures.map(|failure| word("failure", &failure)));
    let why = [Why::Succeeded(By::Probe), Why::Failed(By::Request), Why::Reset, Why::Moved];
    words.extend(why.map(|why| word("status_why", &why)));
    let answered = ProbeOutcome::Answered { took: Span::millis(120) };
    words.push(word("probe_outcome", &answered));
    let apis = [Api::ChatCompletions, Api::Completions, Api::Embeddings, Api::Responses, Api::Models, Api::Other];
    words.extend(apis.map(|api| word("api", &api)));
    words.extend(Outcome::ALL.map(|outcome| word("outcome", &outcome)));
    use Ending as End;
    let endings = [End::Nothing, End::Whole, End::StreamEnded, End::StreamCut, End::StreamLeft];
    words.extend(endings.map(|ending| word("ending", &ending)));
    words.extend(TokensKnown::ALL.map(|known| word("tokens_known", &known)));
}
