//! Text that means itself in Markdown, LaTeX, HTML and CSV, whatever characters names hold. What is written around it is elsewhere.

/// On one line and free of control characters, which terminals obey and XML forbids.
pub(crate) fn plain(text: &str) -> String {
    text.replace("\r\n", " ").chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// For a paragraph or a table cell of Markdown.
pub(crate) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '$' => out.extend(['\\', c]),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(c),
        }
    }
    out
}

/// A block of code in Markdown, fenced by more backticks than `code` has in a row.
pub(crate) fn markdown_code(language: &str, code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{code}\n{fence}\n")
}

/// For running text or a table cell of LaTeX. Brackets and stars are braced, since after `\\` they would be its arguments.
pub(crate) fn latex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '[' | ']' | '*' => out.extend(['{', c, '}']),
            '\\' => out.push_str(r"\textbackslash{}"),
            '~' => out.push_str(r"\textasciitilde{}"),
            '^' => out.push_str(r"\textasciicircum{}"),
            '<' => out.push_str(r"\textless{}"),
            '>' => out.push_str(r"\textgreater{}"),
            '|' => out.push_str(r"\textbar{}"),
            '"' => out.push_str(r"\textquotedbl{}"),
            '±' => out.push_str(r"$\pm$"),
            '—' => out.push_str("---"),
            _ => out.push(c),
        }
    }
    out
}

/// For text and for a quoted attribute of HTML, in a way that XML understands too.
pub(crate) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

/// A field of CSV (RFC 4180): quoted where it has to be, newlines kept.
pub(crate) fn csv(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markdown_keeps_a_cell_one_cell() {
        assert_eq!(markdown("a|b_c\n<d>&`e`"), r"a\|b\_c &lt;d&gt;&amp;\`e\`");
    }

    #[test]
    fn code_outlives_the_backticks_in_it() {
        assert_eq!(markdown_code("", "a```b"), "````\na```b\n````\n");
        assert_eq!(markdown_code("sh", "a"), "```sh\na\n```\n");
    }

    #[test]
    fn latex_has_no_active_character_left() {
        assert_eq!(latex(r"50% \of $x_1 & {y}#"), r"50\% \textbackslash{}of \$x\_1 \& \{y\}\#");
        assert_eq!(
            latex("[a]* ~^<>|\"\n±—"),
            concat!(
                r"{[}a{]}{*} \textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\textbar{}\textquotedbl{} ",
                r"$\pm$---"
            )
        );
    }

    #[test]
    fn csv_quotes_only_where_needed() {
        assert_eq!(csv("plain_name"), "plain_name");
        assert_eq!(csv("a,\"b\"\nc"), "\"a,\"\"b\"\"\nc\"");
    }

    #[test]
    fn html_has_no_markup_left() {
        assert_eq!(html("<b a=\"1\" c='2'>&\n\u{ffff}"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp; \u{fffd}");
    }

    /// The fields of one CSV record, by the state machine of RFC 4180.
    fn csv_fields(record: &str) -> Vec<String> {
        let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
        let mut chars = record.chars().peekable();
        while let Some(c) = chars.next() {
            match (quoted, c) {
                (true, '"') if chars.peek() == Some(&'"') => field.extend(chars.next()),
                (_, '"') => quoted = !quoted,
                (false, ',') => fields.push(std::mem::take(&mut field)),
                _ => field.push(c),
            }
        }
        fields.push(field);
        fields
    }

    proptest! {
        #[test]
        fn csv_fields_come_back(names in prop::collection::vec(".*", 1..5)) {
            let record: Vec<String> = names.iter().map(|name| csv(name)).collect();
            prop_assert_eq!(csv_fields(&record.join(",")), names);
        }

        #[test]
        fn a_markdown_cell_never_ends_early(name in any::<String>()) {
            let cell = markdown(&name);
            prop_assert!(!cell.contains(['\n', '\r', '<', '>']));
            let mut chars = cell.chars();
            while let Some(c) = chars.next() {
                if c == '\\' { chars.next(); } else { prop_assert_ne!(c, '|'); }
            }
        }
    }
}
