//! `tidehelm why`

use super::Shared;
use super::filter::encoded;
use super::output::{CliError, Column, Done, Exit, Output, print};
use super::target::{Target, block_on};
use crate::http::why::nothing;
use crate::source::{Server, Source};
use crate::why::{Question, find, search, tell, with_names};
use clap::Args;
use serde_json::Value;
use std::io::Write;
use tidehelm_events::id::{AccountId, IdError, Position};
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::{OrderId, Ticket};

#[derive(Args)]
#[command(
    after_help = "A number is a ticket, the master's or a slave's; where nothing is known of such a ticket it is the position of a signal or of \
                  a decision. A uuid is an order.\n\n\
                  Examples:\n  tidehelm why 70341\n  tidehelm why 70341 --account IC_Markets_1 --url http://127.0.0.1:8787\n  \
                  tidehelm why 1234 --position --output json\n  tidehelm why 5d1f6c0a-0b4e-5c55-9a8e-3f1d0f2b7a11"
)]
pub struct Why {
    #[arg(value_name = "TICKET|POSITION|ORDER")]
    what: String,
    /// Whose ticket it is, where several brokers have the same number
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    account: Option<AccountId>,
    /// The number is a position
    #[arg(long, conflicts_with = "account")]
    position: bool,
    #[command(flatten)]
    target: Target,
}

fn account(text: &str) -> Result<AccountId, IdError> {
    AccountId::new(text)
}

impl Why {
    pub fn run(self, shared: &Shared) -> Done {
        let questions = self.questions()?;
        block_on(async {
            let stories = match self.target.server(shared)? {
                Some(server) => asked(&server, &questions)?,
                None => read(&mut self.target.source(shared).await?, questions).await?,
            };
            show(&stories, &mut std::io::stdout(), shared.output)
        })
    }

    /// What may be meant, in the order in which it is tried.
    fn questions(&self) -> Result<Vec<Question>, CliError> {
        let unclear = || CliError::usage(format!("`{}` is neither a number nor the id of an order", self.what));
        let Ok(number) = self.what.parse::<u64>() else {
            let order = self.what.parse().map_err(|_| unclear())?;
            return match self.account.is_some() || self.position {
                true => Err(CliError::usage("--account and --position are for numbers")),
                false => Ok(vec![Question::Order(OrderId(order))]),
            };
        };
        let ticket = Question::Ticket { ticket: Ticket(number), account: self.account.clone() };
        let position = Question::Position(Position(number));
        Ok(match (self.position, &self.account) {
            (true, _) => vec![position],
            (false, Some(_)) => vec![ticket],
            (false, None) => vec![ticket, position],
        })
    }
}

fn asked(server: &Server, questions: &[Question]) -> Result<Vec<Value>, CliError> {
    let mut last = None;
    for question in questions {
        let path = match question {
            Question::Position(position) => format!("/api/why/{position}"),
            Question::Ticket { ticket, account: None } => format!("/api/why?ticket={ticket}"),
            Question::Ticket { ticket, account: Some(account) } => {
                format!("/api/why?ticket={ticket}&account={}", encoded(account.as_str()))
            }
            Question::Order(order) => format!("/api/why?order={order}"),
        };
        match server.get::<Value>(&path) {
            Ok(mut found) => return Ok(found["stories"].as_array_mut().map(std::mem::take).unwrap_or_default()),
            Err(error) if error.exit == Exit::NotFound => last = last.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| CliError::usage("nothing was asked")))
}

async fn read(source: &mut Source, questions: Vec<Question>) -> Result<Vec<Value>, CliError> {
    let end = source.moment(None).await?;
    let fold = source.fold_at(end).await?;
    for question in &questions {
        let mut found = find(&fold, question);
        if let Question::Position(signal) = question
            && found.is_empty()
            && (1..=end.0).contains(&signal.0)
        {
            found = with_names(&fold, search(source, *signal).await?);
        }
        if !found.is_empty() {
            let stories = tell(source, found).await?;
            return Ok(stories.iter().map(|story| serde_json::to_value(story).unwrap_or_default()).collect());
        }
    }
    let why = questions.first().map(nothing).unwrap_or_default();
    Err(CliError::new(Exit::NotFound, why))
}

const ROWS: &[Column] = &[
    Column { header: "signal", field: "signal" },
    Column { header: "master", field: "master" },
    Column { header: "slave", field: "slave" },
    Column { header: "ticket", field: "ticket" },
    Column { header: "verdict", field: "verdict" },
    Column { header: "rule", field: "rule" },
    Column { header: "order", field: "order" },
    Column { header: "reason", field: "reason" },
    Column { header: "outcome", field: "outcome" },
    Column { header: "received_to_sent", field: "received_to_sent" },
];

fn show(stories: &[Value], out: &mut dyn Write, output: Output) -> Done {
    match output {
        Output::Json => print(out, output, &[], stories)?,
        Output::Csv => print(out, output, ROWS, &rows(stories))?,
        Output::Table => {
            let mut text = String::new();
            stories.iter().for_each(|story| tell_story(story, &mut text));
            out.write_all(text.as_bytes()).map_err(CliError::writing)?;
        }
    }
    Ok(Exit::Ok)
}

/// One for each order, and one for each decision without any.
fn rows(stories: &[Value]) -> Vec<Value> {
    let mut rows = Vec::new();
    for story in stories {
        for link in list(&story["links"]) {
            let row = |order: &Value| {
                serde_json::json!({
                    "signal": story["signal"]["position"], "master": link["master"], "slave": link["slave"], "ticket": link["ticket"],
                    "verdict": link["decision"]["verdict"], "rule": link["decision"]["rule"], "order": order["id"],
                    "reason": order["reason"], "outcome": last_result(order)["outcome"],
                    "received_to_sent": order["took"]["received_to_sent"],
                })
            };
            match list(&link["orders"]) {
                [] => rows.push(row(&Value::Null)),
                orders => rows.extend(orders.iter().map(row)),
            }
        }
    }
    rows
}

fn tell_story(story: &Value, text: &mut String) {
    let signal = &story["signal"];
    if !signal.is_null() {
        let change =
            if signal["payload"]["change"].is_null() { &signal["payload"] } else { &signal["payload"]["change"] };
        line(
            text,
            0,
            &format!(
                "signal {}  {}  {} ticket {}  {change}",
                word(&signal["position"]),
                time(&signal["at"]),
                word(&signal["master"]),
                word(&signal["ticket"]),
            ),
        );
    }
    for link in list(&story["links"]) {
        let decision = &link["decision"];
        if decision.is_null() {
            let of = link["master"]
                .as_str()
                .map(|master| format!(" (copies of {master}, ticket {})", word(&link["ticket"])));
            line(text, 1, &format!("{}{}", word(&link["slave"]), of.unwrap_or_default()));
        } else {
            let (slave, verdict, rule) = (word(&link["slave"]), word(&decision["verdict"]), word(&decision["rule"]));
            line(text, 1, &format!("{slave}  {verdict} ({rule}): {}", word(&decision["sentence"])));
            list(&decision["steps"]).iter().for_each(|step| line(text, 2, &word(step)));
            if let Some(remedy) = decision["remedy"].as_str().filter(|remedy| !remedy.is_empty()) {
                line(text, 2, &format!("→ {remedy}"));
            }
        }
        list(&link["orders"]).iter().for_each(|order| tell_order(order, text));
    }
}

fn tell_order(order: &Value, text: &mut String) {
    let (seq, id) = (word(&order["seq"]), word(&order["id"]));
    let why =
        if order["reason"] == "signal" { String::new() } else { format!("  because {}", word(&order["sentence"])) };
    line(text, 2, &format!("order {seq}  {id}  {}{why}", order["instruction"]));
    let results = list(&order["results"]);
    if results.is_empty() {
        line(text, 3, "no result yet");
    }
    for result in results {
        let said = &result["result"];
        let part =
            |name: &str| said[name].as_str().map(str::to_string).or_else(|| said[name].as_u64().map(|n| n.to_string()));
        let parts =
            ["ticket", "lots", "price", "error"].into_iter().filter_map(|name| Some(format!("{name} {}", part(name)?)));
        let parts: Vec<String> = parts.collect();
        line(text, 3, &format!("{}  {}  {}", word(&said["outcome"]), time(&result["at"]), parts.join(" ")));
    }
    let took = order["took"].as_object().into_iter().flatten();
    let took =
        took.filter_map(|(name, micros)| Some(format!("{} {}", name.replace('_', " "), millis(micros.as_i64()?))));
    let took: Vec<String> = took.collect();
    if !took.is_empty() {
        line(text, 3, &took.join(", "));
    }
}

fn last_result(order: &Value) -> &Value {
    list(&order["results"]).last().map_or(&Value::Null, |result| &result["result"])
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn line(text: &mut String, depth: usize, said: &str) {
    text.push_str(&"  ".repeat(depth));
    text.push_str(said.trim_end());
    text.push('\n');
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn time(value: &Value) -> String {
    value.as_i64().map_or_else(|| "-".into(), |micros| Timestamp(micros).to_string())
}

fn millis(micros: i64) -> String {
    format!("{}.{:03} ms", micros / 1_000, (micros % 1_000).abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn story() -> Value {
        json!({
            "signal": {"position": 10, "at": 0, "master": "M_1", "ticket": 7, "payload": {"change": {"close": {"ticket": 7}}}},
            "links": [
                {"slave": "S_1", "master": "M_1", "ticket": 7,
                 "decision": {"verdict": "copied", "rule": "copied", "sentence": "as it should", "remedy": "", "steps": ["one", "two"]},
                 "orders": [{
                    "id": "o", "seq": 3, "reason": "signal", "sentence": "the master did it", "instruction": {"close": {"of": "x"}},
                    "results": [{"at": 0, "result": {"outcome": "filled", "ticket": 900, "price": "1.1"}}],
                    "took": {"received_to_decided": 1250, "decided_to_durable": null},
                 }]},
                {"slave": "S_2", "master": "M_1", "ticket": 7, "orders": [],
                 "decision": {"verdict": "skipped", "rule": "not_copied", "sentence": "none", "remedy": "do this", "steps": []}},
            ],
        })
    }

    #[test]
    fn a_story_is_told_line_by_line() {
        let mut out = Vec::new();
        show(&[story()], &mut out, Output::Table).unwrap();
        let expected = "\
signal 10  1970-01-01T00:00:00.000000Z  M_1 ticket 7  {\"close\":{\"ticket\":7}}
  S_1  copied (copied): as it should
    one
    two
    order 3  o  {\"close\":{\"of\":\"x\"}}
      filled  1970-01-01T00:00:00.000000Z  ticket 900 price 1.1
      received to decided 1.250 ms
  S_2  skipped (not_copied): none
    → do this
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_table_of_values_has_a_row_for_each_order_and_each_decision_without_one() {
        let found = rows(&[story()]);
        let seen: Vec<_> =
            found.iter().map(|row| (row["slave"].clone(), row["order"].clone(), row["outcome"].clone())).collect();
        assert_eq!(seen, [(json!("S_1"), json!("o"), json!("filled")), (json!("S_2"), Value::Null, Value::Null)]);
    }
}
