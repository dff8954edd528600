//! What a source file declares and names: child modules, imports, and paths in code.

/// The words of a path: those of `crate::a::B` are `crate`, `a` and `B`.
pub(crate) type Words = Vec<String>;

/// A file, as far as it is read.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// The modules that have files of their own, those for tests aside.
    pub(crate) children: Vec<String>,
    /// Names that are imported or handed on.
    pub(crate) imports: Vec<Import>,
    /// Paths in code, of two words at least.
    pub(crate) paths: Vec<Words>,
    /// All words of the code, imports aside.
    pub(crate) words: Vec<String>,
}

/// One name that `use` brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    /// Its name here.
    pub(crate) name: String,
    pub(crate) path: Words,
    /// True if others may take it from here.
    pub(crate) is_public: bool,
}

impl Source {
    /// Reads the text of a file.
    pub(crate) fn read(text: &str) -> Self {
        let mut source = Self::default();
        let tokens = tokens(text);
        let mut at = 0;
        while at < tokens.len() {
            at = source.item(&tokens, at);
        }
        source
    }

    /// Reads on from `at`, and says where to go on.
    fn item(&mut self, tokens: &[String], at: usize) -> usize {
        let word = |offset: usize| tokens.get(at + offset).map_or("", String::as_str);
        let is_path = at > 0 && tokens[at - 1] == "::";
        match word(0) {
            "#" if (1..7).map(word).eq(["[", "cfg", "(", "test", ")", "]"]) => {
                end_of_item(tokens, at + 7)
            }
            // Who may see an item is no import: `pub(in crate::a)`.
            "(" if word(1) == "in" => {
                let end = tokens[at..].iter().position(|token| token == ")");
                end.map_or(tokens.len(), |end| at + end)
            }
            "mod" if word(2) == ";" => {
                self.children.push(word(1).to_owned());
                at + 3
            }
            "use" if !is_path => {
                let is_public = at > 0 && matches!(tokens[at - 1].as_str(), "pub" | ")");
                let (mut found, end) = (Vec::new(), at + 1);
                let end = tree(tokens, end, &Vec::new(), &mut found);
                let imports =
                    found.into_iter().map(|(path, name)| Import { name, path, is_public });
                self.imports.extend(imports);
                end + 1
            }
            first if is_word(first) => {
                self.words.push(first.to_owned());
                if is_path || word(1) != "::" {
                    return at + 1;
                }
                let mut path = vec![first.to_owned()];
                let mut end = at + 1;
                while tokens.get(end).is_some_and(|token| token == "::")
                    && tokens.get(end + 1).is_some_and(|token| is_word(token))
                {
                    path.push(tokens[end + 1].clone());
                    end += 2;
                }
                self.words.extend(path.iter().skip(1).cloned());
                self.paths.push(path);
                end
            }
            _ => at + 1,
        }
    }
}

/// Reads the tree of a `use` from `at`: each path with the name it brings. Says where it ends.
fn tree(
    tokens: &[String],
    mut at: usize,
    before: &Words,
    found: &mut Vec<(Words, String)>,
) -> usize {
    let mut path = before.clone();
    loop {
        match tokens.get(at).map_or("", String::as_str) {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = tree(tokens, at, &path, found);
                    if tokens.get(at).is_some_and(|token| token == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "as" => {
                found.push((path, tokens.get(at + 1).cloned().unwrap_or_default()));
                return at + 2;
            }
            "*" => {
                path.push("*".to_owned());
                found.push((path, "*".to_owned()));
                return at + 1;
            }
            // The group itself: `a::{self, B}`.
            "self" if !path.is_empty() => at += 1,
            word if is_word(word) => {
                path.push(word.to_owned());
                at += 1;
            }
            _ => {
                let name = path.last().cloned().unwrap_or_default();
                found.push((path, name));
                return at;
            }
        }
    }
}

/// Where the item ends that begins at `at`, with its attributes.
fn end_of_item(tokens: &[String], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token == "}" {
                    return at;
                }
            }
            ";" if depth == 0 => return at,
            _ => {}
        }
    }
    at
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Words and signs, without comments, texts and lifetimes.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = length_of_text(rest) {
            length
        } else if is_word(rest) {
            let length = rest
                .find(|each: char| !each.is_alphanumeric() && each != '_')
                .unwrap_or(rest.len());
            tokens.push(rest[..length].to_owned());
            length
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of the text, character or lifetime that `rest` begins with.
fn length_of_text(rest: &str) -> Option<usize> {
    let prefix = rest.len() - rest.trim_start_matches(['b', 'c', 'r']).len();
    let marks = &rest[..prefix.min(2)];
    let body = &rest[marks.len()..];
    let hashes = body.len() - body.trim_start_matches('#').len();
    if marks.contains('r') && body[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let start = marks.len() + hashes + 1;
        return Some(rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len()));
    }
    let quote = body.chars().next().filter(|each| *each == '"' || *each == '\'')?;
    if quote == '\'' && marks.is_empty() {
        let mut after = body[1..].chars();
        let (first, second) = (after.next()?, after.next());
        if first != '\\' && second != Some('\'') {
            return Some(1);
        }
    }
    let mut is_escaped = false;
    for (at, each) in body.char_indices().skip(1) {
        match each {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if each == quote => return Some(marks.len() + at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}
