//! Texts for people come from outside: they are cut before they enter a state, a history or an output, whose sizes have limits.

/// Most bytes of a text for people.
pub const MAX_TEXT: usize = 2_000;

/// The text, or its beginning.
pub fn shortened(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        text.push_str(" ...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shortened("short".to_owned()), "short");
        let cut = shortened("ä".repeat(MAX_TEXT));
        assert_eq!(cut.len(), MAX_TEXT + 4);
        assert!(cut.ends_with("ä ..."));
    }
}
