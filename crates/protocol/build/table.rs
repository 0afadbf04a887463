//! Reads the tab-separated tables into the model. The grammar of a message's fields:
//! `Name:type[versions, attribute, …]{nested fields}; Name:…`, then ` struct Name[versions]{fields}` for structs
//! that several fields share.

use crate::model::{Api, ErrorRow, Field, Kind, Message, Struct, Type, Versions};

fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .skip(1)
        .filter(|line| !line.is_empty())
        .map(|line| line.split('\t').collect())
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("not a number: {text:?}"))
}

pub(crate) fn messages(text: &str) -> Vec<Message> {
    rows(text)
        .map(|row| {
            let kind = match row[1] {
                "request" => Kind::Request,
                "response" => Kind::Response,
                "header" => Kind::Header,
                "data" => Kind::Data,
                other => panic!("unknown kind of message {other}"),
            };
            let api_key = (!row[0].is_empty()).then(|| number(row[0]));
            message(
                kind,
                api_key,
                row[2],
                Versions::parse(row[3]),
                Versions::parse(row[4]),
                row[5],
            )
        })
        .collect()
}

/// The record types of `__consumer_offsets`: (record type, name, key, value).
pub(crate) fn group_records(text: &str) -> Vec<(i16, String, Message, Message)> {
    rows(text)
        .map(|row| {
            let (name, only) = (row[1], Versions::parse("0"));
            let key = message(
                Kind::Data,
                None,
                &format!("{name}Key"),
                only,
                Versions::NONE,
                row[2],
            );
            let (versions, flexible) = (Versions::parse(row[3]), Versions::parse(row[4]));
            let value = message(
                Kind::Data,
                None,
                &format!("{name}Value"),
                versions,
                flexible,
                row[5],
            );
            (number(row[0]), name.to_owned(), key, value)
        })
        .collect()
}

pub(crate) fn apis(text: &str) -> Vec<Api> {
    rows(text)
        .map(|row| Api {
            key: number(row[0]),
            name: row[1].to_owned(),
            served: (row[4] == "yes").then(|| Versions {
                min: number(row[2]),
                max: number(row[3]),
            }),
            latest_unstable: row[6] == "true",
            first_flexible: Some(number(row[7])).filter(|&version: &i16| version >= 0),
        })
        .collect()
}

pub(crate) fn errors(text: &str) -> Vec<ErrorRow> {
    rows(text)
        .map(|row| ErrorRow {
            code: number(row[0]),
            name: row[1].to_owned(),
            retriable: row.get(3) == Some(&"yes"),
            refreshes_metadata: row.get(4) == Some(&"yes"),
            refreshes_coordinator: row.get(5) == Some(&"yes"),
        })
        .collect()
}

fn message(
    kind: Kind,
    api_key: Option<i16>,
    name: &str,
    versions: Versions,
    flexible: Versions,
    text: &str,
) -> Message {
    let mut parser = Parser {
        rest: text,
        flexible,
        structs: Vec::new(),
    };
    let fields = parser.fields(versions);
    let mut structs = vec![Struct {
        name: name.to_owned(),
        fields,
        within: versions,
        flexible,
    }];
    while parser.take(" struct ") {
        let name = parser.until("[");
        let own = Versions::parse(parser.until("]")).intersect(versions);
        assert!(parser.take("{"), "struct {name} has no fields");
        let fields = parser.fields(own);
        assert!(parser.take("}"), "struct {name} does not end");
        parser.add(Struct {
            name: name.to_owned(),
            fields,
            within: own,
            flexible,
        });
    }
    assert!(parser.rest.is_empty(), "{name}: what is {:?}?", parser.rest);
    structs.append(&mut parser.structs);
    Message {
        api_key,
        kind,
        structs,
    }
}

struct Parser<'a> {
    rest: &'a str,
    flexible: Versions,
    structs: Vec<Struct>,
}

impl<'a> Parser<'a> {
    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// The text before `end`, which is eaten as well.
    fn until(&mut self, end: &str) -> &'a str {
        let (text, rest) = self
            .rest
            .split_once(end)
            .unwrap_or_else(|| panic!("no {end} in {:?}", self.rest));
        self.rest = rest;
        text
    }

    fn fields(&mut self, within: Versions) -> Vec<Field> {
        let mut fields = Vec::new();
        while !self.rest.is_empty() && !self.rest.starts_with('}') {
            fields.push(self.field(within));
            if !self.take("; ") {
                break;
            }
        }
        fields
    }

    fn field(&mut self, within: Versions) -> Field {
        let name = self.until(":").to_owned();
        let array = self.take("[]");
        let element = Type::parse(self.until("["));
        let mut attributes = self.until("]").split(", ");
        let mut field = Field {
            name,
            ty: element.clone(),
            versions: Versions::parse(attributes.next().unwrap_or_default()),
            null_versions: Versions::NONE,
            tag: None,
            default: None,
            ignorable: false,
            may_be_flexible: true,
        };
        if array {
            field.ty = Type::Array(Box::new(element.clone()));
        }
        for attribute in attributes {
            match attribute.split_once(' ').unwrap_or((attribute, "")) {
                ("null", versions) => field.null_versions = Versions::parse(versions),
                ("tag", tag) => field.tag = Some(number(tag)),
                // A bare null in a schema is no default: only the text "null" is one.
                ("default", "None") => {}
                ("default", value) => field.default = Some(value.to_lowercase()),
                ("ignorable", _) => field.ignorable = true,
                ("flexible", "none") => field.may_be_flexible = false,
                ("key" | "entity", _) => {}
                _ => panic!("unknown attribute {attribute:?} of {}", field.name),
            }
        }
        if self.take("{") {
            let Type::Struct(name) = element else {
                panic!("{} is no struct", field.name)
            };
            let within = within.intersect(field.versions);
            let fields = self.fields(within);
            assert!(self.take("}"), "struct {name} does not end");
            self.add(Struct {
                name,
                fields,
                within,
                flexible: self.flexible,
            });
        }
        field
    }

    /// A schema may write the same struct out twice.
    fn add(&mut self, new: Struct) {
        match self.structs.iter().find(|known| known.name == new.name) {
            Some(known) => assert_eq!(*known, new, "two different structs with one name"),
            None => self.structs.push(new),
        }
    }
}
