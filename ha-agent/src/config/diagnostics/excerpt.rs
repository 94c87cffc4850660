//! The line that a problem shows: passwords masked, nothing that moves a terminal's cursor, not
//! longer than a screen is wide.

use crate::suggest::nearest;

/// The longest excerpt, in characters.
const MAX_CHARS: usize = 120;
/// How much is kept before the place when the line has to be cut.
const KEEP_BEFORE: usize = 40;
/// How far before the excerpt a password's key is looked for: a file may be one line of a megabyte.
const MASK_CONTEXT: usize = 1024;

/// A line made fit to be shown.
pub(crate) struct Excerpt {
    pub(crate) text: String,
    pub(crate) mark_at: usize,
    pub(crate) mark_len: usize,
}

/// `column` and `width` are the marked place, in characters from 0.
pub(crate) fn cut(line: &str, column: usize, width: usize) -> Excerpt {
    let skip = if column < MAX_CHARS - KEEP_BEFORE {
        0
    } else {
        column - KEEP_BEFORE
    };
    let context = skip.min(MASK_CONTEXT);
    let near = line.chars().skip(skip - context);
    let mut chars: Vec<char> = near.take(context + MAX_CHARS + 1).collect();
    mask_passwords(&mut chars);
    let mut text = String::from(if skip > 0 { "..." } else { "" });
    let mark_at = column - skip + text.len();
    let more = chars.len() > context + MAX_CHARS;
    text.extend(chars.into_iter().skip(context).take(MAX_CHARS).map(visible));
    if more {
        text.push_str("...");
    }
    let room = MAX_CHARS.saturating_sub(column - skip);
    Excerpt {
        text: text.trim_end().to_owned(),
        mark_at,
        mark_len: width.min(room).max(1),
    }
}

/// One column for each character: tabs would shift the marks, controls and changes of the writing
/// direction would show another text than the file has.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// Replaces what follows a key that reads like `password`, well-formed or not: these lines end in
/// logs, and a password never does.
fn mask_passwords(line: &mut [char]) {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut at = 0;
    while at < line.len() {
        let word: String = line
            .iter()
            .skip(at)
            .take_while(|c| is_word(**c))
            .collect::<String>()
            .to_lowercase();
        if word.is_empty() {
            at += 1;
            continue;
        }
        at += word.chars().count();
        let Some(value) = value_start(line, at) else {
            continue;
        };
        // `auth = "..."` is wrong, and the text may be the password; `auth = { ... }` is right.
        let is_text = matches!(line.get(value), Some('"' | '\''));
        if reads_like_password(&word) || (word.contains("auth") && is_text) {
            at = mask_value(line, value);
        }
    }
}

fn reads_like_password(word: &str) -> bool {
    word.contains("pass")
        || word.contains("secret")
        || nearest(word, ["password", "passwd", "pword"]).is_some()
}

/// Where the value of the key that ends at `at` starts; `None` if this is no key.
fn value_start(line: &[char], at: usize) -> Option<usize> {
    let blank = |from: usize| {
        line.iter()
            .skip(from)
            .take_while(|c| c.is_whitespace())
            .count()
    };
    let quote = usize::from(matches!(line.get(at), Some('"' | '\'')));
    let gap = blank(at + quote);
    let next = at + quote + gap;
    match line.get(next) {
        Some('=' | ':') => Some(next + 1 + blank(next + 1)),
        // The equals sign was forgotten.
        Some('"' | '\'') if gap > 0 => Some(next),
        _ => None,
    }
}

/// Masks the value that starts at `from` and returns where to go on.
fn mask_value(line: &mut [char], from: usize) -> usize {
    let quote = match (line.get(from), line.get(from + 1), line.get(from + 2)) {
        // A text of several lines has no end to look for here.
        (Some(a @ ('"' | '\'')), Some(b), Some(c)) if a == b && b == c => None,
        (Some(a @ ('"' | '\'')), ..) => Some(*a),
        _ => None,
    };
    let mut at = from + usize::from(quote.is_some());
    let mut escaped = false;
    while let Some(c) = line.get_mut(at) {
        if Some(*c) == quote && !escaped {
            return at + 1;
        }
        escaped = *c == '\\' && !escaped && quote == Some('"');
        *c = '*';
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(line: &str) -> String {
        cut(line, 0, 1).text
    }

    #[test]
    fn a_password_is_masked_however_its_line_is_broken() {
        for (line, shown) in [
            (
                r#"auth = { type = "pass", password = "se\"cret", x = 1 }"#,
                r#"auth = { type = "pass", password = "********", x = 1 }"#,
            ),
            ("password = 'se\\'", "password = '***'"),
            (r#""password"="secret""#, r#""password"="******""#),
            (r#"Pasword = "secret"#, r#"Pasword = "******"#),
            (r#"paswd = "secret""#, r#"paswd = "******""#),
            (r#"pword = "secret""#, r#"pword = "******""#),
            (r#"password "secret""#, r#"password "******""#),
            ("password = secret, x = 1 }", "password = ***************"),
            (r#"auth = "secret""#, r#"auth = "******""#),
            (r#"auth_pass: "secret""#, r#"auth_pass: "******""#),
            (r#"password = """secret"#, "password = *********"),
        ] {
            assert_eq!(masked(line), shown, "{line}");
        }
    }

    #[test]
    fn other_values_stay_readable() {
        for line in [
            r#"auth = { type = "pass" }"#,
            r#"x = "auth", y = "z""#,
            "passing along",
            r#"path = "x""#,
            "port = 80",
        ] {
            assert_eq!(masked(line), line);
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line = format!("{}!{}", "a".repeat(5000), "b".repeat(5000));
        let excerpt = cut(&line, 5000, 1);
        assert_eq!(excerpt.text.chars().nth(excerpt.mark_at), Some('!'));
        assert_eq!(excerpt.text.chars().count(), MAX_CHARS + 6);
        assert!(cut(&line, 0, 9000).mark_len <= MAX_CHARS);
    }

    #[test]
    fn a_password_is_masked_where_its_key_was_cut_off() {
        let line = format!("{}password = \"{}\" !", "a ".repeat(3000), "s".repeat(200));
        let column = line.chars().count() - 1;
        let excerpt = cut(&line, column, 1).text;
        assert!(
            excerpt.ends_with("**\" !") && !excerpt.contains('s'),
            "{excerpt}"
        );
    }

    #[test]
    fn controls_are_shown_as_one_harmless_column() {
        let excerpt = cut("\ta\u{1b}[2J\u{202e}", 1, 1);
        assert_eq!(excerpt.text, "\u{20}a\u{fffd}[2J\u{fffd}");
    }
}
