//! A small reader of JSON, for what `cargo metadata` prints.
//!
//! Enough for a trusted program's output, and no more: numbers keep their text.

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    /// The member of this name, or null.
    pub(crate) fn get(&self, name: &str) -> &Self {
        match self {
            Self::Object(members) => {
                members.iter().find(|(key, _)| key == name).map_or(&Self::Null, |(_, value)| value)
            }
            _ => &Self::Null,
        }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements; none if it is no list.
    pub(crate) fn list(&self) -> &[Self] {
        match self {
            Self::List(elements) => elements,
            _ => &[],
        }
    }

    /// The members; none if it is no object.
    pub(crate) fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }
}

/// Reads one JSON value.
///
/// # Errors
/// What was expected, and at which byte.
pub(crate) fn parse(text: &str) -> Result<Json, String> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value()?;
    reader.skip_space();
    if reader.at == text.len() { Ok(value) } else { Err(reader.expected("the end")) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn expected(&self, what: &str) -> String {
        let found: String = self.rest().chars().take(20).collect();
        format!("expected {what} at byte {}, found `{found}`", self.at)
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        let is_there = self.rest().starts_with(token);
        if is_there {
            self.at += token.len();
        }
        is_there
    }

    fn need(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(self.expected(token)) }
    }

    fn value(&mut self) -> Result<Json, String> {
        self.skip_space();
        match self.rest().chars().next() {
            Some('{') => self.object(),
            Some('[') => self.array(),
            Some('"') => self.string().map(Json::Text),
            Some('n') => self.need("null").map(|()| Json::Null),
            Some('t') => self.need("true").map(|()| Json::Bool(true)),
            Some('f') => self.need("false").map(|()| Json::Bool(false)),
            Some('-' | '0'..='9') => {
                let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
                let end = self.rest().find(|c| !is_part(c)).unwrap_or(self.rest().len());
                let number = self.rest()[..end].to_owned();
                self.at += end;
                Ok(Json::Number(number))
            }
            _ => Err(self.expected("a value")),
        }
    }

    fn object(&mut self) -> Result<Json, String> {
        self.need("{")?;
        let mut members = Vec::new();
        loop {
            self.skip_space();
            if self.take("}") {
                return Ok(Json::Object(members));
            }
            if !members.is_empty() {
                self.need(",")?;
                self.skip_space();
            }
            let name = self.string()?;
            self.skip_space();
            self.need(":")?;
            members.push((name, self.value()?));
        }
    }

    fn array(&mut self) -> Result<Json, String> {
        self.need("[")?;
        let mut elements = Vec::new();
        loop {
            self.skip_space();
            if self.take("]") {
                return Ok(Json::List(elements));
            }
            if !elements.is_empty() {
                self.need(",")?;
            }
            elements.push(self.value()?);
        }
    }

    fn string(&mut self) -> Result<String, String> {
        self.need("\"")?;
        let mut string = String::new();
        loop {
            let Some(c) = self.rest().chars().next() else {
                return Err(self.expected("the end of a string"));
            };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(string),
                '\\' => string.push(self.escaped()?),
                c => string.push(c),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, String> {
        let escape = self.rest().chars().next().ok_or_else(|| self.expected("an escape"))?;
        self.at += escape.len_utf8();
        Ok(match escape {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                let first = self.four_digits()?;
                let code = if (0xd800..0xdc00).contains(&first) && self.take("\\u") {
                    0x1_0000 + ((first - 0xd800) << 10) + (self.four_digits()? & 0x3ff)
                } else {
                    first
                };
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            other => other,
        })
    }

    fn four_digits(&mut self) -> Result<u32, String> {
        let digits = self.rest().get(..4).ok_or_else(|| self.expected("four digits"))?;
        let code = u32::from_str_radix(digits, 16).map_err(|_| self.expected("four digits"))?;
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_is_read() {
        let json =
            parse(r#" {"a":[1,-2.5e3,true,false,null],"b":{"c":"x\n\"\u00e9\ud83d\ude00"}} "#);
        let json = json.unwrap();
        assert_eq!(json.get("a").list().len(), 5);
        assert_eq!(json.get("a").list()[1], Json::Number("-2.5e3".into()));
        assert_eq!(json.get("b").get("c").text(), Some("x\n\"é😀"));
        assert_eq!(json.get("nothing").get("deeper"), &Json::Null);
        assert_eq!(json.members().len(), 2);
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        for text in ["", "{", "[1", "[1 2]", "\"a", "nul", "{\"a\" 1}", "1 1", "{a:1}", "\"\\u12\""]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
