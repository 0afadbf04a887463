//! Turns what `{:?}` prints of a message into JSON, so that it can be compared with Kafka's JSON. It goes by what is
//! printed alone, and shares nothing with the generator.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

/// Field names lose case and underscores, bytes become base64, `Some` vanishes and `None` is null.
pub(crate) fn to_json(debug: &str) -> Value {
    let mut parser = Parser { rest: debug };
    let value = parser.value();
    assert_eq!(parser.rest, "");
    value
}

/// `maxWaitMs` and `max_wait_ms` are the same name.
pub(crate) fn bare(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn word(&mut self) -> &'a str {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn value(&mut self) -> Value {
        if self.take("[") {
            return Value::Array(self.list("]", Self::value));
        }
        if self.take("b\"") {
            return BASE64_STANDARD.encode(self.quoted()).into();
        }
        if self.take("\"") {
            return String::from_utf8(self.quoted()).unwrap().into();
        }
        let word = self.word();
        if self.take("(") {
            let inner = self.value();
            assert!(self.take(")"));
            return inner;
        }
        if self.take(" { ") {
            let fields = self.list(" }", |this| {
                let name = bare(this.word());
                assert!(this.take(": "));
                (name, this.value())
            });
            return Value::Object(fields.into_iter().collect());
        }
        match word {
            "None" => Value::Null,
            "true" => true.into(),
            "false" => false.into(),
            number if number.parse::<i64>().is_ok() => number.parse::<i64>().unwrap().into(),
            uuid if uuid.len() == 22 => uuid.into(),
            _ => Value::Object(Map::new()),
        }
    }

    fn list<T>(&mut self, end: &str, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut all = Vec::new();
        while !self.take(end) {
            all.push(one(self));
            self.take(", ");
        }
        all
    }

    /// What stands before the closing quote, without escapes.
    fn quoted(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let mut chars = self.rest.chars();
            let c = chars.next().unwrap();
            self.rest = chars.as_str();
            match c {
                '"' => return out,
                '\\' => {
                    let escape = chars.next().unwrap();
                    self.rest = chars.as_str();
                    match escape {
                        'n' => out.push(b'\n'),
                        'r' => out.push(b'\r'),
                        't' => out.push(b'\t'),
                        '0' => out.push(0),
                        'x' => {
                            let (hex, rest) = self.rest.split_at(2);
                            out.push(u8::from_str_radix(hex, 16).unwrap());
                            self.rest = rest;
                        }
                        other => out.push(u8::try_from(other).unwrap()),
                    }
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }
}
