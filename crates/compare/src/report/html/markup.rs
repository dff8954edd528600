//! Text from outside, as neither markup nor a reader's eye can misread it, and pieces of markup.

use maud::{html, Markup, Render};

/// Text of a name, a phrase or a command. maud escapes what is markup, of this as of every other value;
/// what this adds is for characters that HTML cannot spell or that turn the text around them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl Render for Text<'_> {
    fn render_to(&self, buffer: &mut String) {
        self.visible().render_to(buffer);
    }
}

impl Text<'_> {
    /// Returns it with every character visible, not yet escaped.
    fn visible(&self) -> String {
        let mut visible = String::with_capacity(self.0.len());
        for c in self.0.chars() {
            match c {
                c if c.is_control() => visible.extend(c.escape_default()),
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    visible.extend(c.escape_default());
                }
                c => visible.push(c),
            }
        }
        visible
    }
}

/// A table that scrolls where the screen is too narrow for it.
pub(super) fn scrolled(label: impl Render, table: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) { (table) }
    }
}

/// The word at the best of a column.
pub(super) fn best() -> Markup {
    html! { span.best { "best" } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_be_read_as_markup() {
        let hostile = "<a b=\"y\">&amp;\u{1b}[0m\u{202e}é";
        let safe = "&lt;a b=&quot;y&quot;&gt;&amp;amp;\\u{1b}[0m\\u{202e}é";
        assert_eq!(html! { (Text(hostile)) }.into_string(), safe);
        let attribute = html! { p title=(Text(hostile)) {} }.into_string();
        assert_eq!(attribute, format!("<p title=\"{safe}\"></p>"));
    }
}
