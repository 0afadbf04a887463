//! Emits the Rust struct of a struct, and its default.

use crate::model::{Field, Struct, Type};

pub(crate) fn emit(out: &mut String, this: &Struct, doc: &str) {
    let derive = if this.fields.iter().all(has_derived_default) {
        ", Default"
    } else {
        ""
    };
    emit!(
        out,
        "/// {doc}\n#[derive(Debug, Clone, PartialEq, Eq{derive})]\npub struct {} {{",
        this.name
    );
    for field in &this.fields {
        let tag = field.tag.map(|tag| format!(", tag {tag}")).unwrap_or_default();
        let null = match field.null_versions.is_empty() {
            true => String::new(),
            false => format!(", null in {}", field.null_versions.describe()),
        };
        emit!(
            out,
            "/// `{}`, versions {}{null}{tag}.",
            field.name,
            field.versions.describe()
        );
        emit!(out, "pub {}: {},", field.ident(), field.rust_type());
    }
    out.push_str("}\n");
    if derive.is_empty() {
        emit!(
            out,
            "impl Default for {} {{ fn default() -> Self {{ Self {{",
            this.name
        );
        for field in &this.fields {
            emit!(out, "{}: {},", field.ident(), default_value(field));
        }
        out.push_str("} } }\n");
    }
}

fn has_derived_default(field: &Field) -> bool {
    if field.is_nullable() {
        return field.defaults_to_null();
    }
    matches!(field.default.as_deref(), None | Some("0" | "false"))
}

/// The expression of a field's default value.
pub(crate) fn default_value(field: &Field) -> String {
    if field.is_nullable() {
        return match field.defaults_to_null() {
            true => "None".into(),
            false => "Some(Default::default())".into(),
        };
    }
    match &field.default {
        Some(value) => value.clone(),
        None => "Default::default()".into(),
    }
}

/// The expression that asks whether a field has its default value.
pub(crate) fn is_default(field: &Field) -> String {
    let value = format!("self.{}", field.ident());
    if field.is_nullable() {
        if field.defaults_to_null() {
            return format!("{value}.is_none()");
        }
        return match &field.ty {
            Type::Struct(_) => format!("{value}.as_ref().is_some_and(|it| *it == Default::default())"),
            _ => format!("{value}.as_ref().is_some_and(|it| it.is_empty())"),
        };
    }
    match &field.ty {
        Type::String | Type::Bytes | Type::Records | Type::Array(_) => format!("{value}.is_empty()"),
        Type::Struct(name) => format!("{value} == {name}::default()"),
        Type::Uuid => format!("{value} == Uuid::ZERO"),
        Type::Bool => match field.default.as_deref() {
            Some("true") => value,
            _ => format!("!{value}"),
        },
        _ => format!("{value} == {}", field.default.as_deref().unwrap_or("0")),
    }
}
