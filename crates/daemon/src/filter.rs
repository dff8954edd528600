//! Which targets are wanted of a list.
//!
//! A text is looked for in the words of a target (`pod/default/web`) and in its names, without regard to
//! case; it may also be the name of a runtime, or begin an ID. A pattern with `*` or `?` has to match one
//! of those from end to end. The first is what people type, the second what they type when that gives too
//! much.

use std::str::FromStr;

use nsplice_backend::Entry;
use wildmatch::WildMatch;

/// A filter for targets; the default lets everything pass.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Filter {
    /// Everything.
    #[default]
    All,
    /// What has this text, in lower case, in it.
    Text(String),
    /// What this pattern, in lower case, matches.
    Pattern(WildMatch),
}

/// The shortest beginning of an ID: a shorter one is that of some ID by chance, as with targets.
const SHORTEST_ID: usize = 4;

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.to_lowercase();
        if text.is_empty() {
            Err("a filter is missing: write a part of a name, or a pattern such as `web-*`"
                .to_owned())
        } else if text.contains(['*', '?']) {
            Ok(Self::Pattern(WildMatch::new(&text)))
        } else {
            Ok(Self::Text(text))
        }
    }
}

impl Filter {
    /// Returns whether `entry` is wanted.
    pub(crate) fn passes(&self, entry: &Entry) -> bool {
        let target = entry.target.as_deref();
        let names = [target, Some(&*entry.name), entry.namespace.as_deref(), entry.pod.as_deref()];
        let mut names = names.into_iter().flatten().map(str::to_lowercase);
        let mut words = [Some(entry.kind.as_str()), entry.runtime].into_iter().flatten();
        let id = entry.id.as_deref();
        match self {
            Self::All => true,
            Self::Text(text) => {
                names.any(|name| name.contains(text))
                    || words.any(|word| word == text)
                    || id.is_some_and(|id| text.len() >= SHORTEST_ID && id.starts_with(text))
            }
            Self::Pattern(pattern) => {
                names.any(|name| pattern.matches(&name))
                    || words.chain(id).any(|word| pattern.matches(word))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::tests::entry;

    #[test]
    fn a_filter_is_a_part_of_a_name_or_a_pattern_for_all_of_it() {
        let web = entry("pod/default/web-7d9f");
        for (text, passes) in [
            ("web", true),
            ("WEB", true),
            ("default", true),
            ("pod/", true),
            ("pod/default/web", true),
            ("containerd", true),
            ("container", false),
            ("0123", true),
            ("012", false),
            ("23456", false),
            ("prod", false),
            ("web*", true),
            ("pod/*/web-*", true),
            ("*web", false),
            ("*", true),
            ("d?fault", true),
            ("0123*", true),
            ("podman", false),
        ] {
            assert_eq!(text.parse::<Filter>().unwrap().passes(&web), passes, "{text}");
        }
        assert!("".parse::<Filter>().is_err());
        assert!(Filter::All.passes(&web));
    }
}
