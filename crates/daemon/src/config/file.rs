//! The shape of the configuration file, as serde reads it.
//!
//! What the parser of a value refuses ([`mod@super::value`]) becomes an error of toml, which then
//! knows the place; the key is named in front. A key that does not exist is told with the one that
//! it resembles.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nsplice_backend::{
    nearest, Choice, Destination, Host, Options, Target, Template, TemplateError,
};
use nsplice_relay::Limits;
use nsplice_sys::describe;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::Deserialize;
use slog::Level;
use toml::Spanned;

use super::model::{Config, ForwardConfig};
use super::refusal::Refusal;
use super::value::{Count, Switch, Word};
use crate::log::{LogFormat, LogLevel};
use crate::ports::{port, PortError};
use crate::values::{Grace, LinkCount, LoopCount, Time, TimeLimit, DEFAULT_DRAIN};

/// Reads `text`, which is the content of the file at `path`.
pub(super) fn read(path: &Path, text: &str) -> Result<Config, Refusal> {
    let file: File = toml::from_str(text).map_err(|error| refusal(text, error))?;
    let root = file.root.map(|root| root.0 .0);
    let forward = |table: Spanned<ForwardTable>| {
        let line = line_of(text, &table.span());
        table.into_inner().into_config(line, root.as_deref())
    };
    Ok(Config {
        path: path.to_owned(),
        drain_timeout: file.drain_timeout.map_or(Some(DEFAULT_DRAIN), |time| time.0 .0),
        log_format: file.log_format.map_or_else(LogFormat::default, |format| format.0),
        log_level: file.log.map_or(LogLevel(Level::Info), |level| level.0),
        loops: file.loops.map_or_else(LoopCount::default, |loops| loops.0),
        splice: file.splice.is_none_or(|switch| switch.0),
        forwards: file.forward.0.into_iter().map(forward).collect(),
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    drain_timeout: Option<Word<Grace>>,
    log_format: Option<Word<LogFormat>>,
    log: Option<Word<LogLevel>>,
    loops: Option<Count<LoopCount>>,
    splice: Option<Switch>,
    root: Option<Word<Root>>,
    #[serde(default)]
    forward: Forwards,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ForwardTable {
    name: Word<Name>,
    listen: Listen,
    target: Word<Target>,
    #[serde(default)]
    to: Option<Word<Host>>,
    pod_ip: Option<Switch>,
    port: Count<Port>,
    backend: Option<Word<Choice>>,
    command: Option<Word<Command>>,
    connect_timeout: Option<Word<Time>>,
    idle_timeout: Option<Word<TimeLimit>>,
    linger: Option<Word<TimeLimit>>,
    max_links: Option<Count<LinkCount>>,
    wait_for_target: Option<Switch>,
}

impl ForwardTable {
    fn into_config(self, line: usize, root: Option<&Path>) -> ForwardConfig {
        let defaults = Limits::default();
        let limit =
            |given: Option<Word<TimeLimit>>, default| given.map_or(default, |time| time.0 .0);
        ForwardConfig {
            line,
            name: self.name.0 .0,
            listen: self.listen.0,
            destination: Destination {
                target: self.target.0,
                host: self.to.map_or_else(Host::default, |host| host.0),
                port: self.port.0 .0,
            },
            backend: self.backend.map_or_else(Choice::default, |choice| choice.0),
            options: Options {
                command: self.command.map(|command| command.0 .0),
                root: root.map(Path::to_owned),
                pod_ip: self.pod_ip.is_some_and(|switch| switch.0),
                ..Options::default()
            },
            limits: Limits {
                connect_timeout: self
                    .connect_timeout
                    .map_or(defaults.connect_timeout, |time| time.0 .0),
                idle_timeout: limit(self.idle_timeout, defaults.idle_timeout),
                linger: limit(self.linger, defaults.linger),
            },
            max_links: self.max_links.map(|count| count.0 .0),
            wait_for_target: self.wait_for_target.is_some_and(|switch| switch.0),
        }
    }
}

/// The name of a forward: a word that needs no quotes in logs.
#[derive(Debug)]
struct Name(String);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
        if !text.is_empty() && text.bytes().all(is_plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{text}` is not a name: letters, digits and `-_.:/` are allowed"))
        }
    }
}

#[derive(Debug)]
struct Port(u16);

impl FromStr for Port {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        port(text).map(Self)
    }
}

/// The root that pods and containers are looked for below. It has to be there at the start: otherwise
/// none of them would ever be found.
#[derive(Debug)]
struct Root(PathBuf);

impl FromStr for Root {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        if !path.is_absolute() {
            return Err(format!("`{text}` is not an absolute path"));
        }
        match std::fs::metadata(&path) {
            Ok(about) if about.is_dir() => Ok(Self(path)),
            Ok(_) => Err(format!("{text} is not a directory")),
            Err(error) => Err(format!("cannot look below {text}: {}", describe(&error))),
        }
    }
}

#[derive(Debug)]
struct Command(Template);

impl FromStr for Command {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        Template::parse(text).map(Self)
    }
}

/// The tables of the forwards, one for each `[[forward]]`.
#[derive(Debug, Default)]
struct Forwards(Vec<Spanned<ForwardTable>>);

impl<'de> Deserialize<'de> for Forwards {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ForwardsVisitor)
    }
}

struct ForwardsVisitor;

impl<'de> Visitor<'de> for ForwardsVisitor {
    type Value = Forwards;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table for each forward, which begins with [[forward]]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Forwards, A::Error> {
        let mut tables = Vec::new();
        while let Some(table) = list.next_element()? {
            tables.push(table);
        }
        Ok(Forwards(tables))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Forwards, A::Error> {
        Err(de::Error::custom("there may be several: write [[forward]], with two brackets"))
    }
}

/// One address with its port, or a list of them.
#[derive(Debug)]
struct Listen(Vec<SocketAddr>);

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListenVisitor)
    }
}

struct ListenVisitor;

impl<'de> Visitor<'de> for ListenVisitor {
    type Value = Listen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address such as \"127.0.0.1:8080\", or a list of them")
    }

    fn visit_i64<E: de::Error>(self, port: i64) -> Result<Listen, E> {
        Err(E::custom(format!("a port alone is no address: write \"127.0.0.1:{port}\"")))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Listen, E> {
        let address = text.parse::<ListenAddress>().map_err(E::custom)?;
        Ok(Listen(vec![address.0]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Listen, A::Error> {
        let mut addresses = Vec::new();
        while let Some(Word(ListenAddress(address))) = list.next_element()? {
            addresses.push(address);
        }
        if addresses.is_empty() {
            return Err(de::Error::custom("the list is empty: at least one address is needed"));
        }
        Ok(Listen(addresses))
    }
}

struct ListenAddress(SocketAddr);

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!("`{text}` is not an address with a port: write 127.0.0.1:8080 or [::1]:8080")
        })
    }
}

/// Returns what toml found wrong, with its line and the key in front.
fn refusal(text: &str, mut error: toml::de::Error) -> Refusal {
    let line = error.span().map_or(1, |span| line_of(text, &span));
    // Without the text at hand toml tells the path of the key in place of a picture of the line.
    error.set_input(None);
    let whole = error.to_string();
    let path = whole.trim_end().rsplit_once("\nin `").and_then(|(_, path)| path.strip_suffix('`'));
    let key = path.and_then(|path| path.rsplit('.').next());
    let message = error.message().replace('\n', " ");
    let message = match (unknown_key(&message), key) {
        (Some(question), _) => format!("{message}{question}"),
        (None, Some(key)) if !message.contains("field `") => format!("{key}: {message}"),
        (None, _) => message,
    };
    Refusal { line, message }
}

/// If serde's `message` is of a key that does not exist: a question whether another was meant.
fn unknown_key(message: &str) -> Option<String> {
    let names = message.strip_prefix("unknown field `")?;
    let (unknown, known) = names.split_once('`')?;
    let known = known.split('`').skip(1).step_by(2);
    Some(nearest(unknown, known).map_or_else(String::new, |key| format!("; did you mean `{key}`?")))
}

/// The line, from 1, on which `span` begins.
fn line_of(text: &str, span: &Range<usize>) -> usize {
    let before = text.as_bytes().iter().take(span.start);
    1 + before.filter(|byte| **byte == b'\n').count()
}
