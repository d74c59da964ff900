//! Counts tokens beside an answer that passes through. What it keeps has a bound, whatever the answer is.

use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::sync::LazyLock;
use tidehelm_events::endpoint::{Tokens, TokensKnown};

/// Longer lines are passed on and not looked at.
const LINE_MAX: usize = 256 << 10;
/// Of an answer in one piece that is too long to be kept: usage stands at its end.
const TAIL_MAX: usize = 16 << 10;
/// Characters of a token, in the mean.
const CHARS: u64 = 4;

struct Needle(LazyLock<Finder<'static>>);

macro_rules! needles {
    ($($name:ident = $text:literal),* $(,)?) => { $(
        static $name: Needle = Needle(LazyLock::new(|| Finder::new($text)));
    )* };
}

needles! {
    USAGE = b"\"usage\"",
    CONTENT = b"\"content\"",
    TEXT = b"\"text\"",
    DELTA = b"\"delta\"",
    ARGUMENTS = b"\"arguments\"",
    REASONING = b"\"reasoning_content\"",
    FINISH = b"\"finish_reason\"",
    PROMPT = b"\"prompt\"",
    INPUT = b"\"input\"",
    TYPE = b"\"type\"",
    MODELS_PICTURE = b"\"image_url\"",
}

/// What an answer with events said so far.
#[derive(Debug, Default)]
pub struct Meter {
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// The rest of a line that is too long.
    skipping: bool,
    pieces: u64,
    usage: Option<(u64, u64)>,
    events: u64,
    malformed: u64,
    ended: bool,
    finished: bool,
}

impl Meter {
    pub fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if self.line.is_empty() {
                self.hear(line);
            } else if self.line.len() + line.len() <= LINE_MAX {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.hear(&whole);
                whole.clear();
                self.line = whole;
            } else {
                self.line.clear();
            }
        }
        if !self.skipping {
            match self.line.len() + bytes.len() <= LINE_MAX {
                true => self.line.extend_from_slice(bytes),
                false => (self.skipping, self.line) = (true, Vec::new()),
            }
        }
    }

    fn hear(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(data) = line.strip_prefix(b"data:") else {
            let known = [&b"event:"[..], b"id:", b"retry:", b":"].iter().any(|start| line.starts_with(start));
            self.malformed += u64::from(!line.is_empty() && !known);
            return;
        };
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            self.ended = true;
            return;
        }
        self.events += 1;
        if !(data.starts_with(b"{") && data.ends_with(b"}")) {
            self.malformed += 1;
            return;
        }
        if let Some(usage) = usage_of(data) {
            self.usage = Some(usage);
        }
        let says = [&CONTENT, &TEXT, &DELTA, &REASONING, &ARGUMENTS].iter().any(|needle| needle.text(data) > 0);
        self.pieces += u64::from(says);
        self.finished |= FINISH.text(data) > 0;
        self.ended |= TYPE.is_any_of(data, &["response.completed", "response.failed", "response.incomplete"]);
    }

    /// The end mark came, or at least the reason why it ends.
    pub fn is_whole(&self) -> bool {
        (self.ended || self.finished) && self.malformed == 0
    }
    /// Nothing more is to come.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// `asked` is what the request comes to, by its length.
    pub fn tokens(&self, asked: u64) -> Tokens {
        match (self.usage, self.pieces) {
            (Some((input, output)), _) => Tokens { input, output, known: TokensKnown::Reported },
            (None, 0) => Tokens::default(),
            (None, output) => Tokens { input: asked, output, known: TokensKnown::Counted },
        }
    }
}

/// The end of a long answer in one piece.
#[derive(Debug, Default)]
pub struct Tail(Vec<u8>);

impl Tail {
    pub fn take(&mut self, bytes: &[u8]) {
        let new = &bytes[bytes.len().saturating_sub(TAIL_MAX)..];
        let keep = TAIL_MAX - new.len();
        if self.0.len() > keep {
            self.0.drain(..self.0.len() - keep);
        }
        self.0.extend_from_slice(new);
    }

    pub fn tokens(&self) -> Tokens {
        usage_of(&self.0).map_or_else(Tokens::default, |(input, output)| Tokens {
            input,
            output,
            known: TokensKnown::Reported,
        })
    }
}

/// What an answer in one piece came to. `asked` is what the request comes to, by its length.
pub fn of_whole(body: &[u8], asked: u64) -> Tokens {
    if let Some((input, output)) = usage_of(body) {
        return Tokens { input, output, known: TokensKnown::Reported };
    }
    match CONTENT.text(body) + TEXT.text(body) {
        0 => Tokens::default(),
        chars => Tokens { input: asked, output: chars.div_ceil(CHARS), known: TokensKnown::Estimated },
    }
}

/// What a request comes to, by the length of its texts.
pub fn of_request(body: &[u8]) -> u64 {
    [&CONTENT, &TEXT, &PROMPT, &INPUT].iter().map(|needle| needle.text(body)).sum::<u64>().div_ceil(CHARS)
}

/// A request that shows pictures.
pub fn shows_pictures(body: &[u8]) -> bool {
    MODELS_PICTURE.0.find(body).is_some() || TYPE.is_any_of(body, &["input_image"])
}

/// True if it is JSON from its first to its last byte.
pub fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

impl Needle {
    /// What stands behind each of these keys. Within a text a quote has a backslash before it, so that nothing that a model says
    /// is taken for a key.
    fn values<'a>(&'static self, body: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let length = self.0.needle().len();
        self.0.find_iter(body).filter_map(move |at| {
            let escaped = at > 0 && body[at - 1] == b'\\';
            let rest = body[at + length..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
            (!escaped).then_some(rest)
        })
    }

    /// How many bytes the texts behind it have.
    fn text(&'static self, body: &[u8]) -> u64 {
        self.values(body).filter_map(|rest| rest.strip_prefix(b"\"")).map(length).sum()
    }

    fn is_any_of(&'static self, body: &[u8], texts: &[&str]) -> bool {
        let is = |rest: &[u8], text: &str| {
            rest.strip_prefix(b"\"")
                .and_then(|rest| rest.strip_prefix(text.as_bytes()))
                .is_some_and(|it| it.starts_with(b"\""))
        };
        self.values(body).any(|rest| texts.iter().any(|text| is(rest, text)))
    }
}

/// Of a text, up to its closing quote.
fn length(text: &[u8]) -> u64 {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &text[at..]) {
        at += found;
        if text[at] == b'"' {
            return at as u64;
        }
        at = (at + 2).min(text.len());
    }
    text.len() as u64
}

/// Input and output, as an answer tells them: the last time counts.
fn usage_of(body: &[u8]) -> Option<(u64, u64)> {
    #[derive(Deserialize)]
    struct Usage {
        #[serde(alias = "input_tokens")]
        prompt_tokens: Option<u64>,
        #[serde(alias = "output_tokens")]
        completion_tokens: Option<u64>,
    }
    let told = USAGE.values(body).filter(|rest| rest.starts_with(b"{")).filter_map(|rest| {
        let usage = serde_json::Deserializer::from_slice(rest).into_iter::<Usage>().next()?.ok()?;
        match (usage.prompt_tokens, usage.completion_tokens) {
            (None, None) => None,
            (input, output) => Some((input.unwrap_or(0), output.unwrap_or(0))),
        }
    });
    told.last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"one \\\"usage\\\":{\"},\"finish_reason\":null}]}\n\n: ping\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"two\"},\"finish_reason\":null}]}\r\n\r\n\
        data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const USED: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":9}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    fn metered(text: &str) -> Meter {
        let mut meter = Meter::default();
        meter.take(text.as_bytes());
        meter
    }

    #[test]
    fn a_stream_tells_its_tokens_or_they_are_counted() {
        let counted = Tokens { input: 5, output: 2, known: TokensKnown::Counted };
        let reported = Tokens { input: 7, output: 9, known: TokensKnown::Reported };
        for (text, tokens, whole) in [
            (format!("{STREAM}{USED}{DONE}"), reported, true),
            (format!("{STREAM}{DONE}"), counted, true),
            (STREAM.to_string(), counted, true),
            (STREAM[..STREAM.len() / 2].to_string(), Tokens::default(), false),
            (String::new(), Tokens::default(), false),
            ("data: {\"choi\n\n".into(), Tokens::default(), false),
            (format!("{{\"error\": 1}}\n{STREAM}{DONE}"), counted, false),
        ] {
            let meter = metered(&text);
            assert_eq!((meter.tokens(5), meter.is_whole()), (tokens, whole), "{text}");
        }
    }

    #[test]
    fn responses_have_another_form() {
        let text = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n\
            event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":3,\
            \"output_tokens\":4}}}\n\n";
        let meter = metered(text);
        assert!(meter.has_ended() && meter.is_whole());
        assert_eq!(meter.tokens(0), Tokens { input: 3, output: 4, known: TokensKnown::Reported });
    }

    #[test]
    fn a_line_without_an_end_is_not_kept() {
        let mut meter = Meter::default();
        for _ in 0..100 {
            meter.take(&[b'x'; 64 << 10]);
            assert!(meter.line.len() <= LINE_MAX);
        }
        meter.take(format!("\n{STREAM}{USED}{DONE}").as_bytes());
        assert_eq!(meter.tokens(0).output, 9);
    }

    #[test]
    fn an_answer_in_one_piece() {
        let told = br#"{"choices":[{"message":{"content":"say \"usage\":{\"prompt_tokens\":99,\"completion_tokens\":99}"}}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
        assert_eq!(of_whole(told, 0), Tokens { input: 1, output: 2, known: TokensKnown::Reported });
        let silent = br#"{"choices":[{"message":{"content":"twelve chars"}}]}"#;
        assert_eq!(of_whole(silent, 8), Tokens { input: 8, output: 3, known: TokensKnown::Estimated });
        let embedded = br#"{"data":[{"embedding":[1,2]}],"usage":{"prompt_tokens":5,"total_tokens":5}}"#;
        assert_eq!(of_whole(embedded, 0), Tokens { input: 5, output: 0, known: TokensKnown::Reported });
        for nothing in
            [&b"{}"[..], b"", b"\"usage\"", b"{\"usage\":", b"{\"usage\":{\"prompt_tokens\":-1}}", b"{\"usage\":7}"]
        {
            assert_eq!(of_whole(nothing, 1), Tokens::default(), "{}", String::from_utf8_lossy(nothing));
        }
        let mut tail = Tail::default();
        told.chunks(7).for_each(|piece| tail.take(piece));
        assert_eq!(tail.tokens().output, 2);
        tail.take(&[b' '; TAIL_MAX]);
        assert_eq!((tail.tokens(), tail.0.len()), (Tokens::default(), TAIL_MAX));
    }

    #[test]
    fn a_request_is_estimated_by_its_texts() {
        assert_eq!(of_request(br#"{"messages":[{"content":"12345678"},{"content":[{"text":"1234"}]}]}"#), 3);
        assert_eq!(of_request(br#"{"prompt":"1234","input":["x"]}"#), 1);
        assert!(shows_pictures(br#"{"content":[{"type":"image_url","image_url":{"url":"data:"}}]}"#));
        assert!(!shows_pictures(br#"{"content":"say image_url"}"#));
    }

    proptest! {
        #[test]
        fn how_it_is_cut_makes_no_difference(cuts in prop::collection::vec(1usize..40, 1..60)) {
            let text = format!("{STREAM}{USED}{DONE}");
            let (mut meter, mut rest) = (Meter::default(), text.as_bytes());
            for cut in cuts {
                let (piece, more) = rest.split_at(cut.min(rest.len()));
                meter.take(piece);
                rest = more;
            }
            meter.take(rest);
            prop_assert!(meter.is_whole() && meter.has_ended());
            prop_assert_eq!((meter.tokens(0).output, meter.pieces, meter.events), (9, 2, 5));
        }

        #[test]
        fn nothing_that_comes_makes_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..600), at in 0usize..600) {
            let mut meter = Meter::default();
            let at = at.min(bytes.len());
            meter.take(&bytes[..at]);
            meter.take(&bytes[at..]);
            let _ = (meter.tokens(1), of_whole(&bytes, 1), of_request(&bytes), shows_pictures(&bytes));
        }
    }
}
