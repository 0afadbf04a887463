//! The syntax of Java's `.properties` files (`java.util.Properties.load`). What the keys mean is not known here.

use super::ConfigError;

/// The pairs of a `.properties` text, in order: comments (`#`, `!`), `=`, `:` or blank as separator, `\` at the end of a
/// line to go on in the next, and the escapes `\t \n \r \f \uXXXX`.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let mut pairs = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, first)) = lines.next() {
        let first = first.trim_start();
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while goes_on(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start()),
                None => break,
            }
        }
        let (key, value) = split(&logical);
        pairs.push((unescape(key, at + 1)?, unescape(value, at + 1)?));
    }
    Ok(pairs)
}

/// Whether the line ends in an odd number of backslashes.
fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// Key and value at the first unescaped separator.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .char_indices()
        .find(|(_, c)| {
            let here = !escaped && (matches!(c, '=' | ':') || c.is_whitespace());
            escaped = !escaped && *c == '\\';
            here
        })
        .map_or(line.len(), |(at, _)| at);
    let (key, rest) = line.split_at_checked(end).unwrap_or((line, ""));
    let rest = rest.trim_start();
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start())
}

fn unescape(text: &str, line: usize) -> Result<String, ConfigError> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = (digits.len() == 4)
                    .then(|| u32::from_str_radix(&digits, 16).ok())
                    .flatten();
                let c = code.and_then(char::from_u32).ok_or(ConfigError::Syntax {
                    line,
                    reason: "\\u wants four hexadecimal digits of one character",
                })?;
                out.push(c);
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).expect("well formed")
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn each_separator_of_java_is_understood() {
        let expected = vec![pair("group.id", "orders")];
        for text in [
            "group.id=orders",
            "group.id = orders",
            "group.id:orders",
            "group.id orders",
            "  group.id\t:  orders",
        ] {
            assert_eq!(pairs(text), expected, "{text:?}");
        }
    }

    #[test]
    fn comments_and_blank_lines_are_skipped() {
        assert_eq!(pairs("# a\n\n! b\n   # c\na=1"), vec![pair("a", "1")]);
    }

    #[test]
    fn a_backslash_at_the_end_goes_on_in_the_next_line() {
        assert_eq!(
            pairs("hosts=a:1,\\\n   b:2\nx=y"),
            vec![pair("hosts", "a:1,b:2"), pair("x", "y")]
        );
        assert_eq!(pairs("a=1\\"), vec![pair("a", "1")]);
    }

    #[test]
    fn escapes_are_resolved_in_key_and_value() {
        assert_eq!(pairs(r"a\ b=\u0041\tc\\"), vec![pair("a b", "A\tc\\")]);
        assert_eq!(pairs(r"a\=b=c"), vec![pair("a=b", "c")]);
    }

    #[test]
    fn a_value_keeps_its_blanks_and_separators() {
        assert_eq!(pairs("a = b = c  "), vec![pair("a", "b = c  ")]);
        assert_eq!(pairs("lonely"), vec![pair("lonely", "")]);
    }

    #[test]
    fn a_broken_unicode_escape_names_its_line() {
        let error = parse("a=1\nb=\\u00g0").expect_err("not hexadecimal");
        assert!(matches!(error, ConfigError::Syntax { line: 2, .. }));
        assert!(parse(r"b=\u00").is_err());
        assert!(parse(r"b=\ud800").is_err());
    }
}
