//! The template of a command that carries a link in place of nsenter and socat.
//!
//! The words are split on blanks; `'...'` and `"..."` keep blanks together, there is no other
//! quoting and no shell. `{pid}`, `{netns}`, `{address}` and `{port}` are replaced when a link is
//! opened, `{{` and `}}` are braces. Splitting comes first, so whatever is filled in stays within
//! its word. The first word, the program, has no placeholders: it is looked up once, at start.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

/// A command with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    program: String,
    arguments: Vec<Vec<Piece>>,
}

/// An error in a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// No word in it.
    #[error("the command is empty: a program is needed")]
    Empty,
    /// A quote that is not closed.
    #[error("the command has an opening {0} without a closing one")]
    OpenQuote(char),
    /// A placeholder that does not exist.
    #[error("the command has an unknown placeholder {{{0}}}; {{pid}}, {{netns}}, {{address}} and {{port}} are known, and {{{{ is a brace")]
    Unknown(String),
    /// `{` without `}`, or the other way round.
    #[error("the command has a single {0}; write it twice if a brace is meant")]
    LoneBrace(char),
    /// A placeholder in the first word.
    #[error("the program of the command must be named without placeholders")]
    ProgramVaries,
}

/// A part of a command that each link fills in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placeholder {
    Pid,
    Netns,
    Address,
    Port,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Blank(Placeholder),
}

impl Template {
    /// Reads a command.
    ///
    /// # Errors
    /// When it has no program, an open quote, or a placeholder that is not known.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let mut words = Vec::new();
        let mut rest = source.chars().peekable();
        loop {
            while rest.next_if(|letter| letter.is_whitespace()).is_some() {}
            if rest.peek().is_none() {
                break;
            }
            words.push(word(&mut rest)?);
        }
        let mut words = words.into_iter();
        let program = match words.next().as_deref() {
            None | Some([]) => return Err(TemplateError::Empty),
            Some([Piece::Text(program)]) => program.clone(),
            Some(_) => return Err(TemplateError::ProgramVaries),
        };
        Ok(Self { source: source.to_owned(), program, arguments: words.collect() })
    }

    /// The program's name or path.
    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    /// Returns whether `placeholder` occurs.
    pub(crate) fn uses(&self, placeholder: Placeholder) -> bool {
        self.arguments.iter().flatten().any(|piece| *piece == Piece::Blank(placeholder))
    }

    /// The arguments after the program, with every placeholder filled in by `fill`.
    pub(crate) fn arguments<'a>(
        &'a self,
        fill: impl Fn(Placeholder) -> String + 'a,
    ) -> impl Iterator<Item = String> + 'a {
        self.arguments.iter().map(move |pieces| {
            pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Blank(placeholder) => fill(*placeholder),
                })
                .collect()
        })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// Reads up to the next blank outside of quotes.
fn word(rest: &mut Peekable<Chars<'_>>) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut quote = None;
    while let Some(letter) = rest.next_if(|letter| quote.is_some() || !letter.is_whitespace()) {
        match letter {
            '\'' | '"' if quote.is_none() => quote = Some(letter),
            _ if quote == Some(letter) => quote = None,
            '{' | '}' if rest.next_if_eq(&letter).is_some() => text.push(letter),
            '{' => {
                let blank = placeholder(rest)?;
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Blank(blank));
            }
            '}' => return Err(TemplateError::LoneBrace('}')),
            _ => text.push(letter),
        }
    }
    if let Some(open) = quote {
        return Err(TemplateError::OpenQuote(open));
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// Reads a placeholder after its opening brace.
fn placeholder(rest: &mut Peekable<Chars<'_>>) -> Result<Placeholder, TemplateError> {
    let mut name = String::new();
    loop {
        match rest.next() {
            Some('}') => break,
            Some(letter) if letter.is_alphanumeric() || letter == '_' => name.push(letter),
            _ => return Err(TemplateError::LoneBrace('{')),
        }
    }
    match name.as_str() {
        "pid" => Ok(Placeholder::Pid),
        "netns" => Ok(Placeholder::Netns),
        "address" => Ok(Placeholder::Address),
        "port" => Ok(Placeholder::Port),
        _ => Err(TemplateError::Unknown(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(source: &str) -> Vec<String> {
        let template = Template::parse(source).unwrap();
        let fill = |placeholder| match placeholder {
            Placeholder::Pid => "42".to_owned(),
            Placeholder::Netns => "/n s".to_owned(),
            Placeholder::Address => "::1".to_owned(),
            Placeholder::Port => "80".to_owned(),
        };
        let program = template.program().to_owned();
        std::iter::once(program).chain(template.arguments(fill)).collect()
    }

    #[test]
    fn words_quotes_and_placeholders() {
        let table: [(&str, &[&str]); 8] = [
            ("socat", &["socat"]),
            ("  a \t b\n", &["a", "b"]),
            ("a 'b c' \"d 'e\"", &["a", "b c", "d 'e"]),
            ("a ''", &["a", ""]),
            ("a x'y'z", &["a", "xyz"]),
            ("s -t {pid} TCP6:[{address}]:{port}", &["s", "-t", "42", "TCP6:[::1]:80"]),
            ("s --net={netns}", &["s", "--net=/n s"]),
            ("awk '{{print $1}}' {{x}}", &["awk", "{print $1}", "{x}"]),
        ];
        for (source, words) in table {
            assert_eq!(filled(source), words, "{source}");
        }
    }

    #[test]
    fn what_cannot_be_a_command_is_refused() {
        let table = [
            ("", TemplateError::Empty),
            ("  ", TemplateError::Empty),
            ("''", TemplateError::Empty),
            ("a 'b", TemplateError::OpenQuote('\'')),
            ("a \"b", TemplateError::OpenQuote('"')),
            ("a {host}", TemplateError::Unknown("host".into())),
            ("a {}", TemplateError::Unknown(String::new())),
            ("a {port", TemplateError::LoneBrace('{')),
            ("a { port}", TemplateError::LoneBrace('{')),
            ("a port}", TemplateError::LoneBrace('}')),
            ("{pid} a", TemplateError::ProgramVaries),
        ];
        for (source, error) in table {
            assert_eq!(Template::parse(source), Err(error), "{source}");
        }
        let told = Template::parse("a {host}").unwrap_err().to_string();
        assert!(told.contains("{host}") && told.contains("{port}"), "{told}");
    }
}
