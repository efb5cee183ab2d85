//! Rust sources as text: what is code, and which code is there for tests only.
//!
//! A lexer of a few dozen lines, not a parser: it blanks comments and literals, keeps every line
//! where it was, and knows enough of items to skip one.

/// The code alone: comments, strings and characters become blanks, line breaks stay.
pub(crate) fn code_only(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
            continue;
        }
        for c in &chars[at..end] {
            code.push(if *c == '\n' { '\n' } else { ' ' });
        }
        at = end;
    }
    code
}

/// Where the comment or literal that begins at `at` ends; `at` itself if none begins there.
fn literal_end(chars: &[char], at: usize) -> usize {
    let follows =
        |text: &str| text.chars().enumerate().all(|(index, c)| chars.get(at + index) == Some(&c));
    if follows("//") {
        return chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| at + n);
    }
    if follows("/*") {
        return block_comment_end(chars, at);
    }
    if chars[at] == '"' {
        return quoted_end(chars, at);
    }
    if chars[at] == '\'' {
        return match (chars.get(at + 1), chars.get(at + 2)) {
            (Some('\\'), Some(_)) => chars[at + 3..]
                .iter()
                .position(|c| *c == '\'')
                .map_or(chars.len(), |n| at + 3 + n + 1),
            (Some(_), Some('\'')) => at + 3,
            _ => at, // A lifetime.
        };
    }
    let is_word_before = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    if chars[at] == 'r' && (!is_word_before || matches!(chars[at - 1], 'b' | 'c')) {
        let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
        if chars.get(at + 1 + hashes) == Some(&'"') {
            return raw_end(chars, at + 2 + hashes, hashes);
        }
    }
    at
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn quoted_end(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn raw_end(chars: &[char], start: usize, hashes: usize) -> usize {
    (start..chars.len())
        .find(|at| chars[*at] == '"' && (1..=hashes).all(|n| chars.get(at + n) == Some(&'#')))
        .map_or(chars.len(), |at| at + 1 + hashes)
}

/// Blanks the items that are compiled for tests only. Takes what [`code_only`] returns.
pub(crate) fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::with_capacity(code.len());
    while let Some(start) = rest.find("#[cfg(") {
        let (before, item) = rest.split_at(start);
        kept.push_str(before);
        let attribute_end = matching(item, 1, '[', ']');
        let end = if is_for_tests(&item[..attribute_end]) {
            attribute_end + item_end(&item[attribute_end..])
        } else {
            attribute_end
        };
        let (item, after) = item.split_at(end);
        if end == attribute_end {
            kept.push_str(item);
        } else {
            kept.extend(item.chars().filter(|c| *c == '\n'));
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}

fn is_for_tests(attribute: &str) -> bool {
    let plain: String = attribute.chars().filter(|c| !c.is_whitespace()).collect();
    plain.starts_with("#[cfg(test)") || plain.starts_with("#[cfg(any(test,")
}

/// Where the item at the start of `code` ends, further attributes of it included.
fn item_end(code: &str) -> usize {
    let mut at = 0;
    loop {
        at += code[at..].len() - code[at..].trim_start().len();
        if !code[at..].starts_with("#[") {
            break;
        }
        at += matching(&code[at..], 1, '[', ']');
    }
    match code[at..].find(['{', ';']) {
        Some(found) if code[at + found..].starts_with('{') => {
            at + found + matching(&code[at + found..], 0, '{', '}')
        }
        Some(found) => at + found + 1,
        None => code.len(),
    }
}

/// The end of the bracket that opens at `from`.
fn matching(code: &str, from: usize, open: char, close: char) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code[from..].char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return from + at + c.len_utf8();
            }
        }
    }
    code.len()
}

/// The number of the line that holds this byte, from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Every place where `word` stands alone, not as part of a longer name.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        !code[..*at].ends_with(is_name) && !code[at + word.len()..].starts_with(is_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        for (source, code) in [
            ("a // b\nc", "a\nc"),
            ("a /* b /* c */ d */ e", "a e"),
            ("f(\"std::fs\", 'x', '\\'', b'y')", "f(, , , b)"),
            ("r#\"a \" b\"# c br\"d\" e", "c b e"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            ("\"a\\\"b\" c", "c"),
        ] {
            let squeezed = |text: &str| text.split_inclusive('\n').map(squeeze).collect::<String>();
            assert_eq!(squeezed(&code_only(source)), squeezed(code), "{source}");
        }
    }

    fn squeeze(line: &str) -> String {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        words.concat()
    }

    #[test]
    fn lines_stay_where_they_were() {
        let source = "a\n/* b\nc */ d\n\"e\nf\" g";
        let code = code_only(source);
        assert_eq!(code.lines().count(), source.lines().count());
        assert_eq!(line_of(&code, code.find('g').unwrap()), 5);
    }

    #[test]
    fn items_for_tests_are_blanked() {
        let source = "use a;\n#[cfg(test)]\nmod tests {\n  fn f() { g() }\n}\nfn h() {}\n\
                      #[cfg(any(test, feature = \"x\"))]\n#[expect(y)]\nmod z;\n#[cfg(unix)]\nfn u() {}";
        let kept = without_tests(source);
        assert!(!kept.contains("g()") && !kept.contains("mod z"), "{kept}");
        assert!(kept.contains("fn h()") && kept.contains("fn u()"), "{kept}");
        assert_eq!(kept.lines().count(), source.lines().count());
    }

    #[test]
    fn a_word_is_not_part_of_a_longer_one() {
        assert_eq!(words("HashMap HashMaps MyHashMap HashMap<", "HashMap").count(), 2);
    }
}
