//! `nsplice lookup`: a name as a target resolves it, and who was asked on the way.
//!
//! People get the addresses, one a line, and below them where they are from; programs get JSON.

use nsplice_backend::{look_up, shown, shown_json, FoundName};
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::print;
use crate::request::{LookupRequest, OutputFormat};
use crate::table::Table;
use crate::terminal;

/// Looks up and prints.
pub(crate) fn run(request: &LookupRequest) -> Result<Exit, Failure> {
    let LookupRequest { target, name, timeout, options, format } = request;
    let found = look_up(target, options, name, *timeout)?;
    let text = match format {
        OutputFormat::Table => in_words(&found, terminal::width()),
        OutputFormat::Json => in_json(name, &found)?,
    };
    print(&text).map_err(Failure::system("write to standard output"))?;
    Ok(Exit::Done)
}

fn in_words(found: &FoundName, width: Option<usize>) -> String {
    let mut addresses = Table::new(["ADDRESS", "FROM"]);
    for address in &found.addresses {
        addresses.row([address.to_string(), found.origin.to_string()]);
    }
    if found.asked.is_empty() {
        return addresses.fitted(width);
    }
    let mut asked = Table::new(["ASKED FOR", "AT", "ANSWER", "MS"]);
    for each in &found.asked {
        let milliseconds = format!("{:.1}", each.took.as_secs_f64() * 1e3);
        let (server, said) = (each.server.to_string(), shown(&each.said.to_string()).into_owned());
        asked.row([each.name.clone(), server, said, milliseconds]);
    }
    [addresses.fitted(width), asked.fitted(width)].join("\n")
}

fn in_json(name: &str, found: &FoundName) -> Result<String, Failure> {
    let asked: Vec<_> = found
        .asked
        .iter()
        .map(|each| {
            json!({
                "name": each.name,
                "server": each.server,
                "answer": each.said.to_string(),
                "seconds": each.took.as_secs_f64(),
            })
        })
        .collect();
    let told = json!({
        "name": name,
        "addresses": found.addresses,
        "from": found.origin.to_string(),
        "asked": asked,
    });
    serde_json::to_string_pretty(&told)
        .map(|json| shown_json(&json) + "\n")
        .map_err(|error| Failure::system("write JSON")(error.into()))
}
