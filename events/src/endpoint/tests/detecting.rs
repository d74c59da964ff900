//! Which server it is, by what servers of each kind answer.

use crate::endpoint::detect::{Answers, Heard, detect, models};
use crate::endpoint::{Kind, Model};

const LM_STUDIO_NEW: &str = r#"{"models":[{"type":"llm","publisher":"google","key":"google/gemma-3-4b","architecture":"gemma3","max_context_length":131072}]}"#;
const LM_STUDIO: &str = r#"{"object":"list","data":[{"id":"qwen2-vl-7b","object":"model","type":"vlm","publisher":"mlx-community","arch":"qwen2_vl","max_context_length":32768}]}"#;
const OLLAMA: &str = r#"{"models":[{"name":"llama3.2:latest","model":"llama3.2:latest","size":2019393189}]}"#;
const VLLM: &str =
    r#"{"object":"list","data":[{"id":"Qwen/Qwen3-8B","object":"model","owned_by":"vllm","max_model_len":40960}]}"#;
const LLAMA_CPP: &str = r#"{"models":[{"name":"m.gguf"}],"object":"list","data":[{"id":"m.gguf","owned_by":"llamacpp","meta":{"n_ctx_train":8192}}]}"#;
const OPENAI: &str = r#"{"object":"list","data":[{"id":"gpt-4o","object":"model","owned_by":"system"}]}"#;
const XLLM: &str = r#"{"xllm_version":"0.9.1","gpu":{"count":2}}"#;

fn ok(body: &str) -> Option<Heard<'_>> {
    Some(Heard { status: 200, server: None, body: body.as_bytes() })
}
fn by<'a>(server: &'a str, status: u16, body: &'a str) -> Option<Heard<'a>> {
    Some(Heard { status, server: Some(server), body: body.as_bytes() })
}

#[test]
fn a_server_is_known_by_its_answers() {
    let nothing = Answers::default();
    let deep = "[".repeat(100_000);
    let (quiet, not_found) = (Some(Heard { status: 204, server: None, body: b"" }), by("nginx", 404, "Not Found"));
    for (what, answers, expected) in [
        ("nobody", nothing, None),
        ("xllm", Answers { system: ok(XLLM), models: ok(OPENAI), ..nothing }, Some(Kind::Xllm)),
        ("xllm before all", Answers { system: ok(XLLM), tags: ok(OLLAMA), ..nothing }, Some(Kind::Xllm)),
        ("a number", Answers { system: ok(r#"{"xllm_version":2}"#), ..nothing }, Some(Kind::Xllm)),
        ("no version", Answers { system: ok(r#"{"xllm_version":null}"#), ..nothing }, Some(Kind::Http)),
        ("lm studio", Answers { lm_models: ok(LM_STUDIO), models: ok(OPENAI), ..nothing }, Some(Kind::LmStudio)),
        ("lm studio, new", Answers { lm_models: ok(LM_STUDIO_NEW), ..nothing }, Some(Kind::LmStudio)),
        ("by its header", Answers { models: by("LM Studio/0.3", 200, OPENAI), ..nothing }, Some(Kind::LmStudio)),
        (
            "by the owner",
            Answers { models: ok(r#"{"data":[{"id":"a","owned_by":"organization_owner"}]}"#), ..nothing },
            Some(Kind::LmStudio),
        ),
        ("ollama", Answers { tags: ok(OLLAMA), models: ok(OPENAI), ..nothing }, Some(Kind::Ollama)),
        ("ollama, empty", Answers { tags: ok(r#"{"models":[]}"#), ..nothing }, Some(Kind::Ollama)),
        ("no list", Answers { tags: ok(r#"{"models":7}"#), ..nothing }, Some(Kind::Http)),
        ("vllm", Answers { models: ok(VLLM), system: not_found, ..nothing }, Some(Kind::Vllm)),
        ("vllm by its header", Answers { models: by("vLLM", 200, OPENAI), ..nothing }, Some(Kind::Vllm)),
        ("llama.cpp", Answers { models: ok(LLAMA_CPP), ..nothing }, Some(Kind::LlamaCpp)),
        (
            "llama.cpp answers as ollama, too",
            Answers { tags: by("llama.cpp", 200, LLAMA_CPP), models: by("llama.cpp", 200, LLAMA_CPP), ..nothing },
            Some(Kind::LlamaCpp),
        ),
        ("openai", Answers { models: ok(OPENAI), ..nothing }, Some(Kind::OpenaiCompatible)),
        ("openai, empty", Answers { models: ok(r#"{"data":[]}"#), ..nothing }, Some(Kind::OpenaiCompatible)),
        ("behind a key", Answers { models: by("x", 401, "{}"), ..nothing }, Some(Kind::Http)),
        ("a page", Answers { root: ok("<html>"), ..nothing }, Some(Kind::Http)),
        ("no content", Answers { root: quiet, ..nothing }, Some(Kind::Http)),
        ("broken", Answers { root: by("x", 502, ""), models: by("x", 500, OPENAI), ..nothing }, None),
        ("nested too deep", Answers { models: ok(&deep), ..nothing }, Some(Kind::Http)),
        ("lists of nothing", Answers { lm_models: ok(r#"{"data":[1,null,{}]}"#), ..nothing }, Some(Kind::Http)),
    ] {
        let found = detect(&answers).map(|found| found.kind);
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn its_version_is_what_it_says() {
    let of = |body: &str| detect(&Answers { system: ok(body), ..Answers::default() }).unwrap().version;
    assert_eq!(of(XLLM).as_deref(), Some("0.9.1"));
    assert_eq!(of(r#"{"xllm_version":1.5}"#).as_deref(), Some("1.5"));
    let long = format!(r#"{{"xllm_version":"{}"}}"#, "9".repeat(500));
    assert_eq!(of(&long).unwrap().len(), 64);
}

#[test]
fn models_are_read_as_each_kind_lists_them() {
    let of = |kind, body| models(kind, ok(body).unwrap());
    let one = |id: &str, context| Some(vec![Model { id: id.into(), context }]);
    for (kind, body, expected) in [
        (Kind::Xllm, OPENAI, one("gpt-4o", None)),
        (Kind::LmStudio, LM_STUDIO, one("qwen2-vl-7b", Some(32_768))),
        (Kind::LmStudio, LM_STUDIO_NEW, one("google/gemma-3-4b", Some(131_072))),
        (Kind::Ollama, OLLAMA, one("llama3.2:latest", None)),
        (Kind::Vllm, VLLM, one("Qwen/Qwen3-8B", Some(40_960))),
        (Kind::LlamaCpp, LLAMA_CPP, one("m.gguf", Some(8_192))),
        (Kind::OpenaiCompatible, OPENAI, one("gpt-4o", None)),
        (Kind::OpenaiCompatible, r#"{"data":[]}"#, Some(vec![])),
        (Kind::OpenaiCompatible, r#"{"data":[7,{"id":""},{"id":3}]}"#, Some(vec![])),
        (Kind::OpenaiCompatible, r#"{"error":"no"}"#, None),
        (Kind::OpenaiCompatible, "no json", None),
        (Kind::Http, OPENAI, None),
    ] {
        assert_eq!(of(kind, body), expected, "{kind:?} {body}");
    }
    let failed = Heard { status: 500, server: None, body: OPENAI.as_bytes() };
    assert_eq!(models(Kind::OpenaiCompatible, failed), None);
}

#[test]
fn what_is_asked_is_what_is_understood() {
    for kind in Kind::ALL {
        assert!(crate::endpoint::detect::PATHS.contains(&kind.probe_path()), "{kind:?}");
        assert!(kind.models_path().is_none_or(|path| crate::endpoint::detect::PATHS.contains(&path)), "{kind:?}");
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}
