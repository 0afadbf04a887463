//! Emits `read`, which decodes one struct. All checks of lengths are in `Reader`; what is emitted says only which field
//! follows which, in which version.

use crate::emit_struct::default_value;
use crate::model::{Condition, Field, Struct, Type, Versions};

pub(crate) fn emit(out: &mut String, this: &Struct, structs: &[Struct]) {
    let mut body = String::new();
    for field in &this.fields {
        let (ident, read, default) = (field.ident(), read(this, field, structs), default_value(field));
        match field.versions.condition(this.within) {
            // Tagged fields come after all others; `tags` sets those that are there.
            _ if field.tag.is_some() => emit!(body, "{ident}: {default},"),
            Condition::Always => emit!(body, "{ident}: {read},"),
            Condition::Never => emit!(body, "{ident}: {default},"),
            Condition::If(condition) => {
                emit!(body, "{ident}: if {condition} {{ {read} }} else {{ {default} }},")
            }
        }
    }
    let tags = match this.flexible.condition(this.within) {
        Condition::Never => String::new(),
        Condition::Always => tags(this, structs),
        Condition::If(condition) => format!("if {condition} {{ {} }}\n", tags(this, structs)),
    };
    let body = match (tags.as_str(), tags.contains("this.")) {
        ("", _) => format!("Ok(Self {{ {body} }})"),
        (_, false) => format!("let this = Self {{ {body} }};\n{tags}Ok(this)"),
        (_, true) => format!("let mut this = Self {{ {body} }};\n{tags}Ok(this)"),
    };
    emit!(
        out,
        "pub(crate) fn read({}: &mut Reader, {}: i16) -> Result<Self, DecodeError> {{\n{body}\n}}",
        parameter("reader", &body),
        parameter("version", &body),
    );
}

/// The name of a parameter, with an underscore where the body does not use it.
pub(crate) fn parameter(name: &str, body: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    let used = body.match_indices(name).any(|(at, _)| {
        let before = body[..at].chars().next_back();
        let after = body[at + name.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':'))
    });
    if used { name.to_owned() } else { format!("_{name}") }
}

fn tags(this: &Struct, structs: &[Struct]) -> String {
    let tagged: Vec<&Field> = this.fields.iter().filter(|field| field.tag.is_some()).collect();
    if tagged.is_empty() {
        return format!("reader.skip_tagged_fields(\"{}\")?;\n", this.name);
    }
    let within = this.within.intersect(this.flexible);
    let mut arms = String::new();
    for field in tagged {
        let guard = match field.versions.condition(within) {
            Condition::Always => String::new(),
            Condition::Never => continue,
            Condition::If(condition) => format!(" if {condition}"),
        };
        let tag = field.tag.unwrap_or_default();
        emit!(
            arms,
            "{tag}{guard} => this.{} = {},",
            field.ident(),
            read(this, field, structs)
        );
    }
    format!(
        "reader.tagged_fields(\"{}\", |reader, tag| {{ match tag {{ {arms} _ => return Ok(false), }} Ok(true) }})?;\n",
        this.name
    )
}

fn read(this: &Struct, field: &Field, structs: &[Struct]) -> String {
    let within = this.within.intersect(field.versions);
    let name = format!("\"{}.{}\"", this.name, field.name);
    let flexible = flexible(this, field, within);
    let nullable = field.null_versions.condition(within);
    let nullable = if field.ty == Type::Records {
        "true"
    } else {
        nullable.expression()
    };
    match (&field.ty, field.is_nullable()) {
        (Type::String, false) => format!("reader.string({flexible}, {name})?"),
        (Type::String, true) => format!("reader.nullable_string({flexible}, {nullable}, {name})?"),
        (Type::Bytes | Type::Records, false) => format!("reader.bytes({flexible}, {name})?"),
        (Type::Bytes | Type::Records, true) => {
            format!("reader.nullable_bytes({flexible}, {nullable}, {name})?")
        }
        (Type::Struct(inner), false) => format!("{inner}::read(reader, version)?"),
        (Type::Struct(inner), true) => {
            let method = if field.tag.is_some() {
                "nullable_tagged_struct"
            } else {
                "nullable_struct"
            };
            format!("reader.{method}({nullable}, {name}, |reader| {inner}::read(reader, version))?")
        }
        (Type::Array(element), is_nullable) => {
            let smallest = smallest(element, within, this.flexible, structs).max(1);
            let one = match &**element {
                Type::String => format!("reader.string({flexible}, {name})"),
                Type::Struct(inner) => format!("{inner}::read(reader, version)"),
                fixed => match fixed.fixed_method() {
                    Some(method) => format!("reader.{method}({name})"),
                    None => panic!("no arrays of {fixed:?}"),
                },
            };
            match is_nullable {
                true => format!(
                    "reader.nullable_array::<{smallest}, _>({flexible}, {nullable}, {name}, |reader| {one})?"
                ),
                false => format!("reader.array::<{smallest}, _>({flexible}, {name}, |reader| {one})?"),
            }
        }
        (fixed, _) => format!("reader.{}({name})?", fixed.fixed_method().expect("a fixed type")),
    }
}

/// The expression that says whether a field, present in `within`, has the flexible (compact) form.
pub(crate) fn flexible(this: &Struct, field: &Field, within: Versions) -> String {
    if !field.may_be_flexible {
        return "false".into();
    }
    let condition = this.flexible.condition(within);
    // A tagged field only exists in flexible versions.
    if field.tag.is_some() {
        "true".into()
    } else {
        condition.expression().to_owned()
    }
}

/// The fewest bytes that a value can take in any of the versions `within`.
pub(crate) fn smallest(ty: &Type, within: Versions, flexible: Versions, structs: &[Struct]) -> usize {
    (within.min..=within.max.min(within.min + 64))
        .map(|version| smallest_in(ty, false, version, flexible.contains(version), structs))
        .min()
        .unwrap_or(1)
}

fn smallest_in(ty: &Type, nullable: bool, version: i16, flexible: bool, structs: &[Struct]) -> usize {
    match ty {
        Type::Bool | Type::Int8 => 1,
        Type::Int16 => 2,
        Type::Int32 => 4,
        Type::Int64 => 8,
        Type::Uuid => 16,
        Type::String | Type::Bytes | Type::Records | Type::Array(_) if flexible => 1,
        Type::String => 2,
        Type::Bytes | Type::Records | Type::Array(_) => 4,
        Type::Struct(_) if nullable => 1,
        Type::Struct(name) => {
            let this = structs
                .iter()
                .find(|known| known.name == *name)
                .expect("a struct of this message");
            let fields = this
                .fields
                .iter()
                .filter(|it| it.tag.is_none() && it.versions.contains(version));
            let fields = fields.map(|field| {
                smallest_in(
                    &field.ty,
                    field.is_nullable(),
                    version,
                    flexible && field.may_be_flexible,
                    structs,
                )
            });
            fields.sum::<usize>() + usize::from(flexible)
        }
    }
}
