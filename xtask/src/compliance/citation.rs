//! Citations in running text: an RFC, the sections of it, and the names of rules behind a section.

/// An RFC named in a text, with one of its sections if any is given.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Citation {
    /// From 1: where the RFC is named.
    pub(super) line: usize,
    pub(super) rfc: u16,
    pub(super) section: Option<String>,
    /// The names in brackets behind the section.
    pub(super) names: Vec<String>,
}

/// Every citation of a file, in order. A comment or a string may break its lines anywhere between words.
pub(super) fn find(text: &str) -> Vec<Citation> {
    passages(text)
        .iter()
        .flat_map(|(line, passage)| in_passage(*line, passage))
        .collect()
}

/// Small letters, digits and hyphens.
pub(super) fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(fits)
}

/// Lines, each with those joined to it that only go on with its comment or string.
///
/// A passage keeps the line breaks, so that a line can be told from the position in it.
fn passages(text: &str) -> Vec<(usize, String)> {
    let mut passages: Vec<(usize, String)> = Vec::new();
    let mut before = "";
    for (number, line) in (1..).zip(text.lines()) {
        let trimmed = line.trim();
        let content = trimmed.trim_start_matches(['/', '!']).trim_start();
        let goes_on =
            before.ends_with('\\') || trimmed.starts_with("//") && before.starts_with("//");
        match passages.last_mut() {
            Some((_, passage)) if goes_on => {
                passage.push('\n');
                passage.push_str(content.trim_end_matches('\\').trim_end());
            }
            _ => passages.push((number, content.trim_end_matches('\\').trim_end().to_owned())),
        }
        before = trimmed;
    }
    passages
}

fn in_passage(first_line: usize, passage: &str) -> Vec<Citation> {
    let mut citations = Vec::new();
    for (at, word) in passage.match_indices("RFC") {
        let breaks = passage.get(..at).unwrap_or_default().matches('\n').count();
        let line = first_line.saturating_add(breaks);
        let mut rest = Rest(
            passage
                .get(at.saturating_add(word.len())..)
                .unwrap_or_default(),
        );
        let Some(rfc) = rest.blank().then(|| rest.number()).flatten() else {
            continue;
        };
        let mut sections = sections(&mut rest);
        if sections.is_empty() {
            sections.push((None, Vec::new()));
        }
        citations.extend(sections.into_iter().map(|(section, names)| Citation {
            line,
            rfc,
            section,
            names,
        }));
    }
    citations
}

/// `section 1.2 (name), 3.4 and 5.6 (name, name)`
fn sections(rest: &mut Rest<'_>) -> Vec<(Option<String>, Vec<String>)> {
    let mut found = Vec::new();
    if !(rest.blank() && rest.word("section")) {
        return found;
    }
    rest.word("s");
    while rest.blank()
        && let Some(section) = rest.section()
    {
        found.push((Some(section), rest.names()));
        if !rest.word(",") {
            rest.blank();
            rest.word("and");
        }
    }
    found
}

/// What is left to read; each step takes what it asks for, or nothing.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn blank(&mut self) -> bool {
        let trimmed = self.0.trim_start();
        let moved = trimmed.len() < self.0.len();
        self.0 = trimmed;
        moved
    }

    fn word(&mut self, word: &str) -> bool {
        let rest = self.0.strip_prefix(word);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn number(&mut self) -> Option<u16> {
        self.take(|c| c.is_ascii_digit()).parse().ok()
    }

    /// Numbers with dots between; a full stop behind is not part of it.
    fn section(&mut self) -> Option<String> {
        if !self.0.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let all = self.take(|c| c.is_ascii_digit() || c == '.');
        Some(all.trim_end_matches('.').to_owned())
    }

    /// `(name, name)`, but nothing of a remark in brackets.
    fn names(&mut self) -> Vec<String> {
        let inside = self
            .0
            .trim_start()
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(')'));
        let Some((list, rest)) = inside else {
            return Vec::new();
        };
        let names: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
        if !names.iter().all(|name| is_name(name)) {
            return Vec::new();
        }
        self.0 = rest;
        names
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &str {
        let end = self.0.find(|c| !wanted(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(text: &str) -> Vec<String> {
        let shown = |c: Citation| {
            let section = c.section.unwrap_or_default();
            format!("{}:{}/{section}/{}", c.line, c.rfc, c.names.join("+"))
        };
        find(text).into_iter().map(shown).collect()
    }

    #[test]
    fn an_rfc_may_be_named_alone_or_with_sections() {
        assert_eq!(short("/// By RFC 1071.\n"), ["1:1071//"]);
        assert_eq!(short("// (RFC 9568 section 6.1)."), ["1:9568/6.1/"]);
        assert_eq!(
            short("x // RFC 9568 sections 5.1, 5.2 and 5.3."),
            ["1:9568/5.1/", "1:9568/5.2/", "1:9568/5.3/"]
        );
    }

    #[test]
    fn names_stand_in_brackets_behind_their_section() {
        assert_eq!(
            short(
                "// RFC 9568 section 6.4.3 (yield, learn), 6.1 (skew); RFC 3768 section 7.1 (ttl)"
            ),
            [
                "1:9568/6.4.3/yield+learn",
                "1:9568/6.1/skew",
                "1:3768/7.1/ttl"
            ]
        );
        assert_eq!(
            short("// RFC 9568 section 6.1 (see above)"),
            ["1:9568/6.1/"]
        );
        assert_eq!(
            short("// RFC 9568 section 6.4.2, (420) to (475)"),
            ["1:9568/6.4.2/"]
        );
    }

    #[test]
    fn a_citation_goes_on_in_the_next_line_of_its_comment_or_string() {
        let comment = "/// One.\n/// See RFC 9568\n/// section 6.1\n/// (skew).\nfn a() {}\n";
        assert_eq!(short(comment), ["2:9568/6.1/skew"]);
        let string = "let a = \"RFC 9568 \\\n         section 5.2.9 wants it\";\n";
        assert_eq!(short(string), ["1:9568/5.2.9/"]);
        let code = "// RFC 9568 section 6.1\n(skew)\n";
        assert_eq!(short(code), ["1:9568/6.1/"]);
    }

    #[test]
    fn what_only_looks_like_an_rfc_is_none() {
        assert_eq!(short("// RFCs, RFC and RFC-9568"), [""; 0]);
    }
}
