//! Text from outside, as markup cannot misread it.

use std::fmt::{self, Write as _};

/// Text of a name, a phrase or a command, to be put between tags or in a quoted attribute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // HTML has no way to spell most control characters.
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                // These would turn the text around that follows.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    write!(f, "{}", c.escape_default())?;
                }
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_be_read_as_markup() {
        let shown = Text("<a href='x' b=\"y\">&amp;\u{1b}[0m\u{202e}é").to_string();
        assert_eq!(
            shown,
            "&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;&amp;amp;\\u{1b}[0m\\u{202e}é"
        );
    }
}
