//! What the tables say, as types: version ranges, fields, structs, messages. No parsing and no emitting here.

/// A range of versions as Kafka's schemas write it: `3+`, `0-12`, `4`, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Versions {
    pub(crate) min: i16,
    pub(crate) max: i16,
}

impl Versions {
    pub(crate) const NONE: Self = Self { min: 1, max: 0 };

    pub(crate) fn parse(text: &str) -> Self {
        let text = text.trim();
        if text == "none" || text.is_empty() {
            return Self::NONE;
        }
        let number = |t: &str| {
            t.parse()
                .unwrap_or_else(|_| panic!("not a version range: {text}"))
        };
        if let Some(min) = text.strip_suffix('+') {
            return Self {
                min: number(min),
                max: i16::MAX,
            };
        }
        match text.split_once('-') {
            Some((min, max)) => Self {
                min: number(min),
                max: number(max),
            },
            None => Self {
                min: number(text),
                max: number(text),
            },
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.min > self.max
    }

    pub(crate) fn contains(self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }

    pub(crate) fn intersect(self, other: Self) -> Self {
        Self {
            min: self.min.max(other.min),
            max: self.max.min(other.max),
        }
    }

    /// How Kafka's schemas write the range.
    pub(crate) fn describe(self) -> String {
        if self.max == i16::MAX {
            format!("{}+", self.min)
        } else if self.min == self.max {
            self.min.to_string()
        } else {
            format!("{}-{}", self.min, self.max)
        }
    }

    /// The Rust expression that asks whether `version`, known to be in `within`, is in this range.
    pub(crate) fn condition(self, within: Self) -> Condition {
        let inside = self.intersect(within);
        if inside.is_empty() {
            return Condition::Never;
        }
        match (inside.min > within.min, inside.max < within.max) {
            (false, false) => Condition::Always,
            (true, false) => Condition::If(format!("version >= {}", inside.min)),
            (false, true) => Condition::If(format!("version <= {}", inside.max)),
            (true, true) if inside.min == inside.max => Condition::If(format!("version == {}", inside.min)),
            (true, true) => Condition::If(format!("({}..={}).contains(&version)", inside.min, inside.max)),
        }
    }
}

/// Whether something holds, as far as the generator knows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    Always,
    Never,
    If(String),
}

impl Condition {
    /// As a Rust expression of type bool.
    pub(crate) fn expression(&self) -> &str {
        match self {
            Self::Always => "true",
            Self::Never => "false",
            Self::If(text) => text,
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Type {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Self>),
}

impl Type {
    pub(crate) fn parse(text: &str) -> Self {
        if let Some(element) = text.strip_prefix("[]") {
            return Self::Array(Box::new(Self::parse(element)));
        }
        match text {
            "bool" => Self::Bool,
            "int8" => Self::Int8,
            "int16" => Self::Int16,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "uuid" => Self::Uuid,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "records" => Self::Records,
            name if name.starts_with(|c: char| c.is_ascii_uppercase()) => Self::Struct(name.to_owned()),
            other => panic!("the generator does not know the type {other}"),
        }
    }

    /// Name of the reader's and writer's method of a type without length or null.
    pub(crate) fn fixed_method(&self) -> Option<&'static str> {
        Some(match self {
            Self::Bool => "bool",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uuid => "uuid",
            _ => return None,
        })
    }

    /// The Rust type of a value that is not null.
    pub(crate) fn rust(&self) -> String {
        match self {
            Self::Bool => "bool".into(),
            Self::Int8 => "i8".into(),
            Self::Int16 => "i16".into(),
            Self::Int32 => "i32".into(),
            Self::Int64 => "i64".into(),
            Self::Uuid => "Uuid".into(),
            Self::String => "String".into(),
            Self::Bytes | Self::Records => "Bytes".into(),
            Self::Struct(name) => name.clone(),
            Self::Array(element) => format!("Vec<{}>", element.rust()),
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Field {
    /// As Kafka spells it.
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) versions: Versions,
    pub(crate) null_versions: Versions,
    pub(crate) tag: Option<u32>,
    pub(crate) default: Option<String>,
    pub(crate) ignorable: bool,
    /// False where the schema turns the flexible form off for this one field.
    pub(crate) may_be_flexible: bool,
}

impl Field {
    pub(crate) fn is_nullable(&self) -> bool {
        !self.null_versions.is_empty() || self.ty == Type::Records
    }

    pub(crate) fn defaults_to_null(&self) -> bool {
        // Kafka's generator leaves `records` null where the schema says nothing.
        self.default.as_deref() == Some("null") || self.ty == Type::Records
    }

    /// The field's name in Rust.
    pub(crate) fn ident(&self) -> String {
        snake_case(&self.name)
    }

    pub(crate) fn rust_type(&self) -> String {
        match self.is_nullable() {
            true => format!("Option<{}>", self.ty.rust()),
            false => self.ty.rust(),
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) fields: Vec<Field>,
    /// The versions in which the struct can be met.
    pub(crate) within: Versions,
    pub(crate) flexible: Versions,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Request,
    Response,
    Header,
    Data,
}

pub(crate) struct Message {
    pub(crate) api_key: Option<i16>,
    pub(crate) kind: Kind,
    /// The first is the message itself, the others are nested in it.
    pub(crate) structs: Vec<Struct>,
}

impl Message {
    pub(crate) fn top(&self) -> &Struct {
        &self.structs[0]
    }
}

pub(crate) struct Api {
    pub(crate) key: i16,
    pub(crate) name: String,
    /// What a broker of Kafka 4.3.1 advertises; none where it advertises nothing.
    pub(crate) served: Option<Versions>,
    pub(crate) latest_unstable: bool,
    pub(crate) first_flexible: Option<i16>,
}

pub(crate) struct ErrorRow {
    pub(crate) code: i16,
    pub(crate) name: String,
    pub(crate) retriable: bool,
    pub(crate) refreshes_metadata: bool,
    pub(crate) refreshes_coordinator: bool,
}

/// `MaxWaitMs` → `max_wait_ms`; `V3AndBelow` → `v3_and_below`.
pub(crate) fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let after_lower = i > 0 && !chars[i - 1].is_uppercase();
        let before_lower = i > 0 && chars.get(i + 1).is_some_and(|n| n.is_lowercase());
        if c.is_uppercase() && (after_lower || before_lower) {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    if out == "type" { "r#type".into() } else { out }
}

/// `OFFSET_OUT_OF_RANGE` → `OffsetOutOfRange`; `groupMetadata` → `GroupMetadata`.
pub(crate) fn camel_case(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let (first, rest) = word.split_at(1);
            let rest = if name.contains('_') || word == name.to_uppercase() {
                rest.to_lowercase()
            } else {
                rest.to_owned()
            };
            first.to_uppercase() + &rest
        })
        .collect()
}
